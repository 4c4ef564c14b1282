"""The specification, as tests: a mirror of the tree, and what crosses it."""
