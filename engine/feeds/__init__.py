"""Where ticks come from: the seam, and what satisfies it."""
