"""Node: one operation in one graph. Pure; no I/O."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from engine.kernels.instant import Column

BEFORE_ALL: Final = -(2**62)
"""A boundary before any other."""


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """One operation in one graph, over all its slots.

    ``step(instant, *inputs)`` is its value for a bar, given those of its inputs: a fresh column or one of theirs; it
    changes nothing. ``keep(instant, value, *inputs)`` makes that bar part of the history, once for each that closed;
    None for an operation that needs no history. `ready` and `settled` are the operation's.

    The node knows no bar from before boundary `began` + 1, and takes a slot that is older for one born there; one
    that needs no history knows what its inputs know. `value` is the result at the last commit; never written to.
    """

    ready: int
    settled: int
    began: int
    value: Column
    step: Callable[..., Column]
    keep: Callable[..., None] | None
    inputs: "tuple[Node, ...]" = ()
    watchers: int = 0

    def link(self, inputs: "Sequence[Node]") -> None:
        """Reads `inputs` from now on."""
        self.inputs = tuple(inputs)
        if self.keep is None:
            self.began = max((node.began for node in inputs), default=BEFORE_ALL)
