"""Joining, healing and recovering lose, double and reorder nothing, whatever happens in between, in whatever order.

All orders of short scripts, random ones of longer scripts; and rules that are weaker, each of which is caught.
"""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.hub import Floor
from gateway.line import CaughtUp, Line
from gateway.recovery import Recovery, recover
from tests.property.reading_model import FAULTS, RULES, Rules, World, explore
from wire.envelope import Envelope, Held, NewestFinal
from wire.position import Offset, StreamPosition

LETTERS = ("L", "F", "FL", "FF", "X")
SHORT = tuple((letter,) for letter in LETTERS)
PAIRS = (*SHORT, *itertools.product(LETTERS, repeat=2))


def explore_all(
    scripts: tuple[tuple[str, ...], ...], faults: Mapping[str, int], since: int | None = None, rules: Rules = RULES
) -> int:
    """Explore every script; those without a final have nobody who knows one."""
    fitting = [script for script in scripts if since is None or "F" in script[0]]
    return sum(explore(partial(World, script, faults, since=since, rules=rules)) for script in fitting)


@pytest.mark.parametrize("since", [None, 1])
@pytest.mark.parametrize("fault", [None, "forget"])
def test_every_order_of_joining_and_hearing_keeps_the_promises(fault: str | None, since: int | None) -> None:
    assert explore_all(PAIRS, {} if fault is None else {fault: 1}, since) > 100


@pytest.mark.parametrize("since", [None, 1])
@pytest.mark.parametrize("fault", ["cut", "lose", "interrupt"])
def test_every_order_of_a_loss_and_its_healing_keeps_the_promises(fault: str, since: int | None) -> None:
    assert explore_all((("F",), ("FL",), ("F", "X")) if fault == "lose" else (("F",), ("L",)), {fault: 1}, since) > 100


@pytest.mark.parametrize("fault", ["cut", "interrupt", "forget"])
def test_every_order_of_leaving_and_coming_back_keeps_the_promises(fault: str) -> None:
    assert explore_all((("F",),) if fault == "interrupt" else (("F", "L"), ("FF",)), {"leave": 1, fault: 1}, 1) > 100


def test_every_order_of_a_change_of_epoch_keeps_the_promises() -> None:
    assert explore_all((("F",), ("L",)), {"restart": 1}, 1) > 100


@given(
    script=st.lists(st.sampled_from((*LETTERS, "XFL", "LL", "FFF")), min_size=1, max_size=8),
    faults=st.dictionaries(st.sampled_from(sorted(FAULTS)), st.integers(1, 2), max_size=3),
    choices=st.lists(st.integers(0, 10_000), max_size=60),
)
def test_random_orders_of_long_scripts_keep_the_promises(
    script: list[str], faults: dict[str, int], choices: list[int]
) -> None:
    faults["restart"] = min(faults.get("restart", 0), 1)
    world = World(tuple(script), faults)
    path: list[str] = []
    for choice in (*choices, *range(1_000)):
        moves = [move for move in world.moves() if len(path) < len(choices) or move not in faults]
        if not moves:
            break
        path.append(moves[choice % len(moves)])
        world.make(path[-1])
    world.check_end()


# Weaker rules


class HearsWhileReading(Line):
    def heard(self, envelope: Envelope) -> bool:
        if self.catching_up and envelope.epoch == self.epoch:
            self._apply(envelope)
            return False
        return super().heard(envelope)


class HearsAgain(Line):
    def _apply(self, envelope: Envelope) -> None:
        self.number = min(self.number, envelope.number - 1)
        self.top = min(self.top, Offset(envelope.first_offset - 1))
        super()._apply(envelope)


class JumpsHoles(Line):
    def heard(self, envelope: Envelope) -> bool:
        if not self.catching_up and envelope.epoch == self.epoch:
            self.number = max(self.number, envelope.number - 1)
        return super().heard(envelope)


class ReadsNothingWhenAttached(Line):
    def attached(self) -> bool:
        return super().attached() if self.epoch is None else False


class TrustsAnOldRead(Line):
    def caught_up(self, held: Held) -> CaughtUp:
        self._obsolete = False
        return super().caught_up(held)


class ForgetsTheParked(Line):
    def caught_up(self, held: Held) -> CaughtUp:
        self._unpark()
        return super().caught_up(held)


class BelievesAnEnvelopesEpoch(Line):
    def heard(self, envelope: Envelope) -> bool:
        if not self.catching_up and envelope.epoch != self.epoch:
            self.epoch, self.number = envelope.epoch, envelope.number - 1
        return super().heard(envelope)


class KeepsTheEpochThatItKnows(Line):
    def caught_up(self, held: Held) -> CaughtUp:
        self.epoch = held.epoch
        return super().caught_up(held)


class NeverGivesUp(Line):
    def _has_lost(self, channel: str, held: Held) -> bool:
        return False


class AsksNotSinceWhen(Line):
    def _has_lost(self, channel: str, held: Held) -> bool:
        newest = held.newest.get(channel)
        return newest is not None and newest.offset > self.top and held.first_held > self.top + 1


class SettlesAtOnce(Line):
    def _settle(self) -> None:
        for joiner in self._admitted:
            self._hub.settle(joiner)
        self._admitted = []


class ReadsFromTheStart(Line):
    def before_read(self) -> Offset | None:
        super().before_read()
        return Offset(0)

    def caught_up(self, held: Held) -> CaughtUp:
        self.top = Offset(0)
        return super().caught_up(held)


class RecallsForAnybody(Line):
    def recall(self, channel: str, position: StreamPosition) -> Held | None:
        self._began[channel] = Offset(0)
        self._recent.begin = Offset(0)
        return super().recall(channel, position)


def asks_not_since_when(held: Held, channel: str, position: StreamPosition | None) -> Recovery:
    newest = held.newest.get(channel)
    rows = {} if newest is None else {channel: NewestFinal(Offset(0), newest.offset, newest.payload)}
    return recover(Held(held.epoch, held.number, held.top, held.first_held, held.finals, rows), channel, position)


def asks_not_what_is_held(held: Held, channel: str, position: StreamPosition | None) -> Recovery:
    return recover(Held(held.epoch, held.number, held.top, Offset(0), held.finals, held.newest), channel, position)


def asks_not_the_epoch(held: Held, channel: str, position: StreamPosition | None) -> Recovery:
    return recover(held, channel, None if position is None else StreamPosition(held.epoch, position.offset))


def starts_at_the_newest(held: Held, channel: str, position: StreamPosition | None) -> Recovery:
    recovery = recover(held, channel, position)
    return Recovery(recovery.epoch, held.top, recovered=recovery.recovered, publications=(), newest=recovery.newest)


MUTANTS: Mapping[str, tuple[Rules, tuple[str, ...], Mapping[str, int], int | None]] = {
    "hears while it reads": (Rules(HearsWhileReading), ("F", "F", "L"), {"cut": 1}, None),
    "hears an envelope again": (Rules(HearsAgain), ("F",), {"cut": 1}, None),
    "jumps holes": (Rules(JumpsHoles), ("F", "F"), {"lose": 1}, None),
    "reads nothing when it is attached again": (Rules(ReadsNothingWhenAttached), ("F",), {"cut": 1}, None),
    "trusts a read that is older than the loss": (Rules(TrustsAnOldRead), ("F",), {"cut": 2}, None),
    "forgets what was parked": (Rules(ForgetsTheParked), ("F",), {"cut": 1}, None),
    "believes an envelope's epoch": (Rules(BelievesAnEnvelopesEpoch), ("F", "F"), {"lose": 1, "restart": 1}, None),
    "keeps positions over a change of epoch": (Rules(KeepsTheEpochThatItKnows), ("F",), {"cut": 1, "restart": 1}, None),
    "never says that a final is lost": (Rules(NeverGivesUp), ("F",), {"cut": 1, "forget": 1}, None),
    "asks not since when a channel is computed": (Rules(AsksNotSinceWhen), ("F",), {"interrupt": 1}, None),
    "settles a subscription before it has heard what it knows": (Rules(SettlesAtOnce), ("F",), {}, None),
    "hands on what was handed on": (Rules(ReadsFromTheStart), ("F",), {"cut": 1}, None),
    "recalls what it has not heard": (Rules(RecallsForAnybody), ("F",), {"leave": 1, "interrupt": 1}, 1),
    "recovers over a time without computing": (Rules(recover=asks_not_since_when), ("F",), {"interrupt": 1}, 1),
    "recovers what is held no more": (Rules(recover=asks_not_what_is_held), ("F", "F"), {"forget": 1}, 1),
    "recovers from another epoch": (Rules(recover=asks_not_the_epoch), ("F", "F"), {"restart": 1}, 1),
    "starts at the newest and says that it recovered": (Rules(recover=starts_at_the_newest), ("F", "F"), {}, 1),
    "knows no number": (replace(RULES, floor=lambda held: Floor(0, held.top)), ("L", "F"), {}, None),
    "knows no offset": (replace(RULES, floor=lambda held: Floor(held.number, Offset(0))), ("F",), {}, None),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_weaker_rule_is_caught(mutant: str) -> None:
    rules, script, faults, since = MUTANTS[mutant]
    with pytest.raises(AssertionError, match="after"):
        explore(lambda: World(script, faults, since=since, rules=rules))
