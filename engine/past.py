"""Past: the closed bars of a venue, as they were used and as late trades corrected them. Pure; no I/O."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from engine.columns import Columns
from engine.held import History
from engine.rawbar import Filler, RawBar
from engine.revisions import Revisions, RevisionsState
from engine.rollup import BASE
from engine.sessions import Sessions
from wire.market import NS_PER_S, Timeframe

MENDABLE_NS: Final = 900 * NS_PER_S
"""How long after its close a bar can still be corrected."""


class PastState(Struct, frozen=True, eq=False):
    """The held bars as they were used, those that can still be mended, and what came too late for them."""

    history: tuple[tuple[Timeframe, tuple[Columns, ...]], ...]
    mendable: tuple[tuple[Timeframe, tuple[RawBar, ...]], ...]
    revisions: RevisionsState


class Past:
    """Closed bars: those of the last quarter of an hour with all that is needed to mend them."""

    def __init__(self, history: History, sessions: Sessions) -> None:
        self.history = history
        self.revisions = Revisions(history.timeframes, sessions)
        self._mendable: dict[Timeframe, dict[int, RawBar]] = {each: {} for each in {BASE, *history.timeframes}}

    def keep(self, timeframe: Timeframe, raw: RawBar) -> None:
        """A bar of one of the timeframes, or of the base, has closed."""
        bars = self._mendable[timeframe]
        bars[raw.open_ns] = raw.packed()
        limit_ns = raw.end_ns - MENDABLE_NS
        while (first := next(iter(bars.values()))).end_ns < limit_ns:
            del bars[first.open_ns]
        if self.revisions.any_of(timeframe):
            held_ns = self.history.oldest_ns(timeframe) if timeframe in self.history.timeframes else None
            self.revisions.forget(timeframe, first.open_ns if held_ns is None else min(held_ns, first.open_ns))

    def find(self, timeframe: Timeframe, open_ns: int) -> RawBar | None:
        """The bar that opened at a time, if it can still be mended."""
        return self._mendable[timeframe].get(open_ns)

    def mendable(self, timeframe: Timeframe) -> Sequence[RawBar]:
        """The bars that can still be mended, oldest first."""
        return tuple(self._mendable[timeframe].values())

    def mend(self, timeframe: Timeframe, raw: RawBar, filler: Filler) -> None:
        """A closed bar is another, and was never used otherwise; `raw` must not be packed."""
        self._mendable[timeframe][raw.open_ns] = raw.packed()
        if timeframe in self.history.timeframes:
            self.history.replace(timeframe, filler.fill(raw))

    def settle(self, closed_ns: int) -> None:
        """Revise what late trades have corrected of the bars that ended by a time."""
        self.revisions.settle(closed_ns, self.find)

    def state(self) -> PastState:
        """All that it holds."""
        return PastState(
            tuple((each, self.history[each]) for each in self.history.timeframes),
            tuple((timeframe, tuple(bars.values())) for timeframe, bars in self._mendable.items()),
            self.revisions.state(),
        )

    def restore(self, state: PastState) -> None:
        """Hold what `state` gave of these timeframes."""
        for timeframe, held in state.history:
            self._hold(timeframe, held)
        for timeframe, bars in state.mendable:
            if timeframe in self._mendable:
                self._mendable[timeframe] = {each.open_ns: each for each in bars}
        self.revisions.restore(state.revisions)

    def _hold(self, timeframe: Timeframe, held: Iterable[Columns]) -> None:
        if timeframe in self.history.timeframes:
            for bar in held:
                self.history.append(timeframe, bar)
