"""What is done with batches of quotes: one behind the other, and later. Pure; no I/O."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.ticks import QuoteBatch


def joined(batches: Sequence[QuoteBatch | None]) -> QuoteBatch | None:
    """The quotes of all batches in order of receipt, of one time the first batch's first; None without any."""
    quotes = [batch for batch in batches if batch is not None]
    if len(quotes) <= 1:
        return quotes[0] if quotes else None
    order = np.argsort(np.concatenate([each.received_ns for each in quotes]), kind="stable")
    return QuoteBatch(
        np.concatenate([each.instrument for each in quotes])[order],
        np.concatenate([each.bid for each in quotes])[order],
        np.concatenate([each.ask for each in quotes])[order],
        np.concatenate([each.bid_size for each in quotes])[order],
        np.concatenate([each.ask_size for each in quotes])[order],
        np.concatenate([each.event_ns for each in quotes])[order],
        np.concatenate([each.received_ns for each in quotes])[order],
    )


def later(quotes: QuoteBatch | None, shift_ns: int) -> QuoteBatch | None:
    """The same quotes with all times later by `shift_ns`."""
    if quotes is None:
        return None
    return replace(quotes, event_ns=quotes.event_ns + shift_ns, received_ns=quotes.received_ns + shift_ns)
