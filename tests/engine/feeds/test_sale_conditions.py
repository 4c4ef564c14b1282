"""What the conditions of a sale let a trade set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.feeds.sale_conditions import CONDITION_BITS, CONDITIONS, allowed
from engine.ticks import TickFlag

VOLUME = TickFlag.SETS_VOLUME
NOT_LAST = TickFlag.SETS_VOLUME | TickFlag.SETS_RANGE
ALL = TickFlag.ORDINARY


def test_there_is_a_rule_for_every_bit() -> None:
    assert len(CONDITIONS) == CONDITION_BITS == len({name for name, _ in CONDITIONS})


@pytest.mark.parametrize(
    ("conditions", "flags"),
    [
        (0x0, ALL),
        (0x1, ALL),
        (0x2, VOLUME),
        (0x4, VOLUME),
        (0x8, NOT_LAST),
        (0x20, ALL),
        (0x40, ALL),
        (0x80, ALL | TickFlag.CLOSING),
        (0x200, NOT_LAST),
        (0x400, VOLUME),
        (0x800, NOT_LAST),
        (0x2000, VOLUME),
        (0x4000, NOT_LAST),
        (0x100000, VOLUME),
        (0x200000, ALL),
        (0x400000, VOLUME),
        (0x1000000, TickFlag(0)),
        (0x2000000, NOT_LAST),
        (0x4000000, TickFlag(0)),
        (0x80000000, VOLUME),
        (0x20000020, ALL),
        (0x20200040, ALL),
        (0x20040200, VOLUME),
        (0x20100200, VOLUME),
        (0x2080, VOLUME | TickFlag.CLOSING),
        (0x1000080, TickFlag(0)),
    ],
)
def test_a_trade_sets_what_all_of_its_conditions_allow(conditions: int, flags: TickFlag) -> None:
    assert allowed(conditions) == flags


@given(st.integers(0, (1 << 32) - 1), st.integers(0, 31))
def test_a_further_condition_never_allows_more(conditions: int, bit: int) -> None:
    more = allowed(conditions | 1 << bit) & ALL
    assert more & allowed(conditions) == more
    assert not more & TickFlag.SETS_OPEN_CLOSE or more & TickFlag.SETS_RANGE, (
        "a price that closes a bar is in its range"
    )
