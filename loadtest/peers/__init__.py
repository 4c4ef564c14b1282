"""Servers to compare with: each does nothing but send what it is told to all who are connected."""
