"""Order: whether finals reached one client in order, exactly once. Pure; no I/O."""

from loadtest.target import Answer, Position, Told


class Order:
    """What one client has of its channels. The finals of a channel are of bars `step_ms` apart."""

    __slots__ = ("_newest_ms", "_step_ms", "finals", "lost", "positions", "repeated", "unrecovered")

    def __init__(self, step_ms: int) -> None:
        self._step_ms = step_ms
        self._newest_ms: dict[str, int] = {}
        self.positions: dict[str, Position] = {}
        self.finals = 0
        self.lost = 0
        """Finals between two that came."""
        self.repeated = 0
        """Finals that came again, or late."""
        self.unrecovered = 0
        """How often it was told that it cannot go on from where it was."""

    def answered(self, channel: str, answer: Answer) -> None:
        """A subscribe was answered."""
        if answer.position is None:
            return
        if channel in self.positions and not answer.recovered:
            self.unrecovered += 1
            self._newest_ms.pop(channel, None)
        self.positions[channel] = answer.position
        for told in answer.told:
            self._take(channel, told)

    def told(self, told: Told) -> None:
        """A publication came."""
        self._take(told.channel, told)

    def _take(self, channel: str, told: Told) -> None:
        position = self.positions.get(channel)
        if position is not None:
            self.positions[channel] = Position(position.epoch, told.offset)
        if told.bar_ms is None:
            return
        self.finals += 1
        newest_ms = self._newest_ms.get(channel)
        if newest_ms is not None:
            steps = (told.bar_ms - newest_ms) // self._step_ms
            if steps < 1:
                self.repeated += 1
                return
            self.lost += steps - 1
        self._newest_ms[channel] = told.bar_ms
