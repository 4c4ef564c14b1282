"""Publishing loses, doubles and reorders nothing, whatever fails in between, in any order; or the epoch is another.

Every sequence of moves of short scripts is made. That the exploration looks where faults are is shown by writers that
break one rule each: it finds what they do.
"""

from collections import Counter
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.resumption import Closing, Resumption
from engine.tenure import Claim
from engine.writer import Writer
from tests.property.publishing_model import World, explore
from wire.envelope import Acquired, Batch, NewestFinal, Ownership, Publication
from wire.position import Offset

ALL_FAULTS = frozenset(
    (
        "refuse",
        "lose",
        "delay",
        "decline",
        "fail over",
        "fail over twice",
        "wipe",
        "overflow",
        "steal",
        "other publishes",
        "other beats",
        "other leaves",
    )
)
FAULTS = {
    "lost answers": ("FLF", {"lose": 1, "refuse": 1}),
    "requests that are carried out late": ("FF", {"delay": 1, "lose": 1}),
    "a failover that loses a write": ("FF", {"fail over": 1, "lose": 1}),
    "a failover that loses two": ("FFF", {"fail over twice": 1}),
    "two failovers": ("FF", {"fail over": 2}),
    "all data lost": ("FFF", {"wipe": 1}),
    "all data lost, and an answer": ("F", {"wipe": 1, "lose": 1}),
    "an engine that takes over and publishes": ("FF", {"steal": 1, "other publishes": 1, "other leaves": 1}),
    "the same, and a lost answer": ("F", {"steal": 1, "other publishes": 1, "other leaves": 1, "lose": 1}),
    "an engine that takes over and says nothing": ("F", {"steal": 1, "other leaves": 1, "delay": 1}),
    "an engine that takes over, and is heard": ("F", {"steal": 1, "other beats": 1, "other leaves": 1, "lose": 1}),
    "a full buffer": ("FFF", {"overflow": 1}),
    "a full buffer, twice": ("F", {"overflow": 2}),
    "a channel that is dropped and started again": ("FDFSF", {"lose": 1}),
    "a channel that nobody was told of": ("DFSF", {"refuse": 1}),
    "a restart that begins before the newest boundary": ("FFRF", {"lose": 1}),
    "a restart, and a request that is carried out late": ("FRF", {"delay": 1}),
    "a restart that misses a boundary": ("FGF", {"lose": 1}),
    "a restart after a failover": ("FRF", {"fail over": 1}),
    "a restart after all data was lost": ("FGF", {"wipe": 1}),
}


@pytest.mark.parametrize("case", FAULTS)
def test_nothing_is_lost_doubled_or_reordered_by(case: str) -> None:
    script, faults = FAULTS[case]
    assert explore(lambda: World(script, faults)) > 50


class ChunksAnew(Writer):
    """What was not answered goes into a new batch, with what came since."""

    def batch(self, now_s: float, limit_bytes: int, *, flush: bool, drain: bool = False) -> Batch | None:
        self._unpack()
        return super().batch(now_s, 100, flush=flush, drain=drain)


class TakesLess(Writer):
    """A topic that stands behind what is known is gone on with, in the same epoch."""

    def answered(self, stands: Ownership, now_s: float) -> bool:
        assert self._parcel is not None
        batch = self._parcel.batch
        if stands.owner == batch.expected.owner and stands.epoch == batch.expected.epoch and stands != batch.after:
            self._unpack()
            self.tenure.stands = stands
            return False
        return super().answered(stands, now_s)


class BelievesTheOwner(Writer):
    """A topic that is its own has got what was sent."""

    def answered(self, stands: Ownership, now_s: float) -> bool:
        assert self._parcel is not None
        batch = self._parcel.batch
        return super().answered(batch.after if stands.owner == batch.expected.owner else stands, now_s)


class KeepsItsName(Writer):
    """One identity for all acquisitions."""

    def claim(self) -> Claim:
        self.tenure._claims = 0
        return super().claim()


class TrustsTheEpoch(Writer):
    """Whoever owned the topic meanwhile: while the epoch is the same, what was on its way goes again."""

    def found(self, acquired: Acquired, now_s: float) -> str | None:
        before = self.tenure.stands
        if before is not None and acquired.ownership.epoch == before.epoch:
            self.tenure.stands = acquired.ownership
        return super().found(acquired, now_s)


class ForgetsWhatWasSent(Writer):
    """What was on its way when the topic was lost is not published again."""

    def found(self, acquired: Acquired, now_s: float) -> str | None:
        self._unpack()
        self._outgoing.void()
        return super().found(acquired, now_s)


class KeepsTheEpoch(Writer):
    """A full buffer does not change the epoch."""

    def overflow(self) -> None:
        self._unpack()
        self._outgoing.void()


class AsksOnce(Writer):
    """A buffer that is full again before the claim is answered is not asked for a second time."""

    def found(self, acquired: Acquired, now_s: float) -> str | None:
        self.tenure._fresh = None
        return super().found(acquired, now_s)


class KeepsRows(Writer):
    """In a new epoch the rows stay as they were."""

    def _reopen(self, acquired: Acquired, *, anew: bool) -> None:
        super()._reopen(acquired, anew=False)


class SkipsNothing(Writer):
    """`since` is the topic's top when computing begins: an offset that others have been given before."""

    def batch(self, now_s: float, limit_bytes: int, *, flush: bool, drain: bool = False) -> Batch | None:
        batch = super().batch(now_s, limit_bytes, flush=flush, drain=drain)
        if batch is None:
            return None
        for channel, row in batch.rows.items():
            if row.offset == 0:
                batch.rows[channel] = NewestFinal(Offset(batch.expected.next_offset - 1), row.offset, row.payload)
        return batch


class SetsNoSince(Writer):
    """Every channel was computed from the beginning."""

    def batch(self, now_s: float, limit_bytes: int, *, flush: bool, drain: bool = False) -> Batch | None:
        batch = super().batch(now_s, limit_bytes, flush=flush, drain=drain)
        if batch is not None:
            for channel, row in batch.rows.items():
                batch.rows[channel] = NewestFinal(Offset(0), row.offset, row.payload)
        return batch


class StartsAnew(Writer):
    """A channel that the owner before has computed is started like any other."""

    def start(self, channel: str, boundary: str) -> None:
        self._outgoing.start(channel)
        if self._continued is not None:
            self._continued.add(channel)


class RepeatsBoundaries(Writer):
    """Boundaries that the owner before has published are published again."""

    def close(self, closing: Closing, finals: tuple[Publication, ...]) -> None:
        self._resumption = Resumption({})
        super().close(closing, finals)


class HidesGaps(Writer):
    """Boundaries that nobody has published are not told of."""

    def start(self, channel: str, boundary: str) -> None:
        super().start(channel, boundary)
        self._resumption.drop(channel)


class KeepsOldRows(Writer):
    """What the owner before has computed, and nobody wants, stays."""

    def settle(self) -> None:
        self._continued = None


# Two beginnings. One final is in, and a heartbeat is on its way that comes late, when another engine has had the topic.
# Another engine has had the topic when the first final is to be sent, and the topic is claimed again.
TAKEN = {"steal": 1, "other leaves": 1}
LATE = "send; arrive; answer; go on; send; arrive; answer; send; delay; steal; other leaves"
LOST = "send; arrive; answer; send; arrive; answer; go on; steal; other leaves; send; arrive; answer; send; arrive"

MUTANTS: dict[type[Writer], partial[World]] = {
    ChunksAnew: partial(World, "FF", {"lose": 1}),
    TakesLess: partial(World, "FF", {"fail over": 1}),
    BelievesTheOwner: partial(World, "FF", {"decline": 1}),
    KeepsItsName: partial(World, "FDF", TAKEN | {"delay": 1}, after=LATE),
    TrustsTheEpoch: partial(World, "F", {"steal": 1, "other leaves": 1, "lose": 1}),
    ForgetsWhatWasSent: partial(World, "F", {"steal": 1, "other leaves": 1}),
    KeepsTheEpoch: partial(World, "FF", {"overflow": 1}),
    AsksOnce: partial(World, "FF", TAKEN | {"overflow": 1}, after=LOST),
    KeepsRows: partial(World, "FF", {"overflow": 1}),
    SkipsNothing: partial(World, "FDFSF", {}),
    SetsNoSince: partial(World, "FDFSF", {}),
    StartsAnew: partial(World, "FRF", {}),
    RepeatsBoundaries: partial(World, "FRF", {}),
    HidesGaps: partial(World, "FGF", {}),
    KeepsOldRows: partial(World, "FDFRF", {}),
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_writer_is_found_out_that(mutant: type[Writer]) -> None:
    """Ends with what the mutant does; the writer as it is keeps every promise in the same scripts."""
    explore(MUTANTS[mutant])
    with pytest.raises(AssertionError, match="after"):
        explore(partial(MUTANTS[mutant], writer=mutant))


def test_a_bus_is_found_out_that_does_not_compare() -> None:
    with pytest.raises(AssertionError, match="after"):
        explore(partial(World, "FF", {"lose": 1}, compares=False))


@settings(max_examples=200)
@given(
    st.text("FFFLDSRG", min_size=3, max_size=12), st.lists(st.sampled_from(sorted(ALL_FAULTS)), max_size=6), st.data()
)
def test_nothing_is_lost_doubled_or_reordered_by_many_faults(
    script: str, faults: list[str], data: st.DataObject
) -> None:
    world = World(script + "F", Counter(faults))
    path: list[str] = []
    for _ in range(data.draw(st.integers(0, 60))):
        moves = list(world.moves())
        if not moves:
            break
        path.append(data.draw(st.sampled_from(moves)))
        world.make(path[-1])
    world.finish()
    world.check_rest()
