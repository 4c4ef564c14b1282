"""What the conditions of a sale let a trade of US equities set, by the rules of the consolidated tape. Pure; no I/O.

The bits are those of Lean's TradeConditionFlags (QuantConnect/Lean, Common/Data/Auxiliary). What each condition lets a
trade update are the consolidated processing guidelines of the UTP plan (UTDF specification), as Polygon's glossary of
stock conditions has them in one table with the conditions of the CTA plan. A trade with several conditions may set
what all of them allow.

Where the tape says "last only if it is the first or only trade", or only from some markets (sold last), a trade sets no
open and no close here. A stock-option trade could set prices until the plan's change of July 2015; here it never does.
The guidelines have no rule for CAP election, trade-through exempt and the undocumented bit: they restrict nothing.
The official opening and closing values of a market are no trades: they set nothing, and count for no volume.
"""

from typing import Final

from engine.ticks import TickFlag

CONDITION_BITS: Final = 32
"""How many conditions there are: one bit each."""

_NOTHING: Final = TickFlag(0)
_VOLUME: Final = TickFlag.SETS_VOLUME
_NOT_LAST: Final = TickFlag.SETS_RANGE | TickFlag.SETS_VOLUME
_ALL: Final = TickFlag.ORDINARY

# By bit, from the lowest: the condition, and what it allows.
CONDITIONS: Final = (
    ("regular", _ALL),
    ("cash", _VOLUME),
    ("next day", _VOLUME),
    ("seller", _NOT_LAST),
    ("yellow flag", _ALL),
    ("intermarket sweep", _ALL),
    ("opening print", _ALL),
    ("closing print", _ALL),
    ("reopening print", _ALL),
    ("derivatively priced", _NOT_LAST),
    ("form T", _VOLUME),
    ("sold last", _NOT_LAST),
    ("stopped stock", _ALL),
    ("extended hours", _VOLUME),
    ("sold out of sequence", _NOT_LAST),
    ("split", _ALL),
    ("acquisition", _ALL),
    ("bunched", _ALL),
    ("stock-option", _VOLUME),
    ("distribution", _ALL),
    ("average price", _VOLUME),
    ("cross", _ALL),
    ("price variation", _VOLUME),
    ("rule 155", _ALL),
    ("official close", _NOTHING),
    ("prior reference price", _NOT_LAST),
    ("official open", _NOTHING),
    ("cap election", _ALL),
    ("automatic execution", _ALL),
    ("trade-through exempt", _ALL),
    ("undocumented", _ALL),
    ("odd lot", _VOLUME),
)
_CLOSING_PRINT: Final = 1 << 7


def allowed(conditions: int) -> TickFlag:
    """What a trade with these conditions, a bit each, may set; without any it is an ordinary one.

    ``CLOSING`` is set for a closing print. Nothing at all means that it is no trade.
    """
    flags = _ALL
    for bit, (_, allows) in enumerate(CONDITIONS):
        if conditions >> bit & 1:
            flags &= allows
    return flags | TickFlag.CLOSING if flags and conditions & _CLOSING_PRINT else flags
