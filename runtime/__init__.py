"""What any process of ours needs; knows nothing of markets or sockets."""
