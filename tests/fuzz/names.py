"""Names that a client may ask for, or what looks like one: channels, patterns, expressions. Pure; no I/O."""

from random import Random
from typing import Final

from wire.catalogue import INDICATORS
from wire.channel import ChannelKind
from wire.market import Timeframe

VENUES: Final = ("DEMO", "BINANCE", "X", "x", "", "A" * 40)
SYMBOLS: Final = ("S01", "S02", "BTCUSDT", "*", "s", "", "Z" * 70)
TIMEFRAMES: Final = (*(each.value for each in Timeframe), "2m", "", "1M")
NUMBERS: Final = (0, 1, 2, 14, -1, 0.5, 5_000, 5_001, 1e300, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**30)
SERIES: Final = ("open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4", "x", "__class__")
FUNCTIONS: Final = ("cross", "crossover", "crossunder", "abs", "min", "max", "highest", "lowest", "eval")
OPERATORS: Final = (" + ", "-", "*", "/", " > ", "<=", "==", " and ", " or ", " not ", "**", " ", ".")


def channel(random: Random) -> str:
    """The name of a channel, most often of one that there is."""
    kind = random.choice([*ChannelKind])
    name = f"{kind.value}:{random.choice(VENUES[: random.choice((2, 6))])}"
    if kind.has_symbol:
        name += f":{random.choice(SYMBOLS[: random.choice((3, 7))])}"
    if kind.has_timeframe:
        name += f"@{random.choice(TIMEFRAMES)}"
    if kind.has_expression:
        name += f":{expression(random)}"
    return name


def pattern(random: Random) -> str:
    """What a subscriber may read, with stars at any place."""
    name = channel(random)
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        start = random.randint(0, len(name))
        name = name[:start] + "*" + name[start + random.choice((0, 1, 3, 300)) :]
    return name


def expression(random: Random, depth: int = 4) -> str:
    """An expression, or what looks like one."""
    match random.randrange(9 if depth else 3):
        case 0 | 1:
            return random.choice(SERIES[: random.choice((8, 10))])
        case 2:
            return str(random.choice(NUMBERS))
        case 3 | 4:
            left, right = expression(random, depth - 1), expression(random, depth - 1)
            return f"{left}{random.choice(OPERATORS)}{right}"
        case 5:
            return f"({expression(random, depth - 1)})[{random.choice((0, 1, 5, 5_001, -1))}]"
        case 6:
            return f"{random.choice(FUNCTIONS)}({expression(random, depth - 1)},{expression(random, depth - 1)})"
        case _:
            return _indicator(random, depth)


def _indicator(random: Random, depth: int) -> str:
    indicator = random.choice(INDICATORS)
    arguments = [expression(random, depth - 1)] if random.random() < 0.3 else []
    arguments += [str(random.choice(NUMBERS)) for _ in range(random.randrange(3))]
    if indicator.parameters and random.random() < 0.3:
        arguments.append(f"{random.choice(indicator.parameters).name}={random.choice(NUMBERS)}")
    output = random.choice(["", "", *(f".{name}" for name in indicator.output_names)])
    return f"{indicator.name}({','.join(arguments)}){output}"
