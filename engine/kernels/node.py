"""Node: one operation in one graph, and Kernel: what it remembers. Pure; no I/O."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from numpy.typing import NDArray

from engine.kernels.instant import Column

BEFORE_ALL: Final = -(2**62)
"""A boundary before any other."""

State = tuple[NDArray[Any], ...]
"""Arrays with the slots as their last axis."""


class Kernel(Protocol):
    """What an operation remembers of the bars that closed."""

    @property
    def VERSION(self) -> int:  # noqa: N802 - a constant of each class
        """Another number when the same bars give another value, or the state another meaning."""

    @property
    def step(self) -> Callable[..., Column]:
        """``step(instant, *inputs)``: the value for a bar, a fresh column or an input; changes nothing."""

    @property
    def keep(self) -> Callable[..., None]:
        """``keep(instant, value, *inputs)``: makes that bar part of the history."""

    def state(self) -> State:
        """All that is remembered, in a fixed order, by reference: what `keep` may write to is to be copied first.

        The same kernel with this state at the same boundary number gives the same bits ever after.
        """

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a `state`, of any number of slots; copies what it will write to."""


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """One operation in one graph, over all its slots.

    ``step(instant, *inputs)`` is its value for a bar, given those of its inputs: a fresh column or one of theirs; it
    changes nothing. ``keep(instant, value, *inputs)`` makes that bar part of the history, once for each that closed.
    Both are the kernel's; an operation that needs no history has no kernel and no `keep`. A value with several
    outputs has shape (outputs, slots). `ready` and `settled` are the operation's.

    The node knows no bar from before boundary `began` + 1, and takes a slot that is older for one born there; one
    that needs no history knows what its inputs know. `value` is the result at the last commit; never written to.
    """

    ready: int
    settled: int
    began: int
    value: Column
    step: Callable[..., Column]
    kernel: Kernel | None
    inputs: "tuple[Node, ...]" = ()
    watchers: int = 0

    @property
    def keep(self) -> Callable[..., None] | None:
        """Makes a closed bar part of the history; None for an operation that needs none."""
        return None if self.kernel is None else self.kernel.keep

    def link(self, inputs: "Sequence[Node]") -> None:
        """Reads `inputs` from now on."""
        self.inputs = tuple(inputs)
        if self.kernel is None:
            self.began = max((node.began for node in inputs), default=BEFORE_ALL)
