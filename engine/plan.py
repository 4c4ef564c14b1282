"""Plan: nodes in the order in which they are computed. Pure; no I/O."""

from collections.abc import Sequence

from engine.kernels.instant import Column, Instant
from engine.kernels.node import Node


class Plan:
    """Nodes in an order in which inputs come first, and for each the places of its inputs."""

    __slots__ = ("_keeps", "_nodes", "_steps")

    def __init__(self, nodes: Sequence[Node]) -> None:
        places = {node: place for place, node in enumerate(nodes)}
        inputs = [tuple(places[source] for source in node.inputs) for node in nodes]
        self._nodes = tuple(nodes)
        self._steps = tuple(zip([node.step for node in nodes], inputs, strict=True))
        self._keeps = tuple(
            (node.kernel.keep, place, inputs[place]) for place, node in enumerate(nodes) if node.kernel is not None
        )

    def values(self, instant: Instant) -> dict[Node, Column]:
        """The value of each node at `instant`."""
        return dict(zip(self._nodes, self._computed(instant), strict=True))

    def commit(self, instant: Instant) -> None:
        """Computes every node and keeps what came out."""
        values = self._computed(instant)
        for keep, place, inputs in self._keeps:
            if len(inputs) == 1:
                keep(instant, values[place], values[inputs[0]])
            else:
                keep(instant, values[place], *[values[source] for source in inputs])
        for node, value in zip(self._nodes, values, strict=True):
            node.value = value

    def _computed(self, instant: Instant) -> list[Column]:
        """One call for each node: the common numbers of inputs are written out, as narrow nodes cost little more."""
        values: list[Column] = []
        for step, inputs in self._steps:
            match len(inputs):
                case 0:
                    values.append(step(instant))
                case 1:
                    values.append(step(instant, values[inputs[0]]))
                case 2:
                    values.append(step(instant, values[inputs[0]], values[inputs[1]]))
                case _:
                    values.append(step(instant, *[values[source] for source in inputs]))
        return values
