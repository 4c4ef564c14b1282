"""What processes and clients agree on: market types, channel names, expressions, envelopes, messages. Pure; no I/O."""
