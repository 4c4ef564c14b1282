"""What entries of the catalogue are made of. No I/O."""

from typing import Final

from msgspec import Struct

MAX_WINDOW: Final = 5_000
"""The longest window, and the furthest ``x[k]``, in bars."""

PRICES: Final = ("open", "high", "low", "close", "volume")
"""The series that a bar has."""


class Parameter(Struct, frozen=True):
    """A number that an indicator takes: from `low` to `high`, whole if it counts bars or chooses."""

    name: str
    default: float
    low: float = 1
    high: float = MAX_WINDOW
    whole: bool = True


class Formula(Struct, frozen=True):
    """A name and its definition: an output, or an intermediate value."""

    name: str
    definition: str


class Definition(Struct, frozen=True):
    """A named series of the bar that is computed from others."""

    name: str
    title: str
    definition: str


class Function(Struct, frozen=True, kw_only=True):
    """A function of expressions; `condition` is true of one that is 1 or 0, `of_condition` of one that takes those."""

    name: str
    title: str
    arguments: tuple[str, ...]
    definition: str
    condition: bool = False
    of_condition: bool = False


class Indicator(Struct, frozen=True, kw_only=True):
    """An indicator. `series` is what it is taken of by default, None if it reads the bar and takes no series.

    Either `definition` is given, or `outputs` when it has several. `differences` says where TA-Lib or TradingView
    answer something else, `source` where the formula comes from.

    One that TA-Lib computes has no definition but a `function`, in TA-Lib's name: of `inputs` (``x`` is the series,
    the others are those of the bar) and of the parameters, in their order. `output_list` names several outputs.
    `lookback` and `unstable` are definitions over the parameters that give numbers: the bars before the first value,
    and those after it that still depend on where history began. `group` is the family that TA-Lib puts it in.
    """

    name: str
    title: str
    series: str | None = "close"
    parameters: tuple[Parameter, ...] = ()
    definition: str = ""
    where: tuple[Formula, ...] = ()
    outputs: tuple[Formula, ...] = ()
    differences: tuple[str, ...] = ()
    source: str
    function: str = ""
    inputs: tuple[str, ...] = ()
    output_list: tuple[str, ...] = ()
    lookback: str = "0"
    unstable: str = "0"
    group: str = ""

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the outputs; () for an indicator with one value."""
        return self.output_list or tuple(output.name for output in self.outputs)


def length(default: int, low: int = 1) -> Parameter:
    """The parameter that most indicators have: the bars of their window."""
    return Parameter("length", default, low)


TEXTBOOK: Final = "textbook"
WILDER: Final = "J. W. Wilder, New Concepts in Technical Trading Systems (1978)"
