"""Ticks in, publications out: feeds, bars, the graph of indicators, the publisher."""
