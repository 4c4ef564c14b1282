"""TA-Lib's functions that the core set does not define, as entries of the catalogue. No I/O."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from wire.catalogue_types import Indicator
from wire.talib_averages import CYCLES, OVERLAP_STUDIES, PRICE_TRANSFORMS
from wire.talib_measures import OPERATORS, STATISTICS, TRANSFORMS, VOLATILITY, VOLUME
from wire.talib_momentum import MOMENTUM
from wire.talib_patterns import PATTERNS

TALIB_FUNCTIONS: Final[tuple[Indicator, ...]] = (
    *OVERLAP_STUDIES,
    *MOMENTUM,
    *VOLATILITY,
    *VOLUME,
    *CYCLES,
    *STATISTICS,
    *PRICE_TRANSFORMS,
    *OPERATORS,
    *TRANSFORMS,
    *PATTERNS,
)

LEFT_OUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "MAVP": "takes a second series that counts bars",
        "MAX": "is highest(x, length)",
        "MIN": "is lowest(x, length)",
        "MAXINDEX": "counts from the first bar that is known",
        "MININDEX": "counts from the first bar that is known",
        "MINMAXINDEX": "counts from the first bar that is known",
        "ACOS": "of a price is no number",
        "ASIN": "of a price is no number",
        "EXP": "of a price is too large a number",
        "COSH": "of a price is too large a number",
        "SINH": "of a price is too large a number",
    }
)
"""TA-Lib's functions that expressions do not have under their own name, and why."""
