"""The nodes of a graph: what a kernel computes for a bar, over a column of instruments. Pure; no I/O."""
