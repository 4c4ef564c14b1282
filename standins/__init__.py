"""Honest stand-ins for what is outside us, for development, tests and the demo."""
