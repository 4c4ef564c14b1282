"""Publications in, sockets out: authenticates subscribers and pushes what each may see."""
