"""How long to wait before something that failed is tried again. Pure; no I/O."""

from typing import Final

FIRST_S: Final = 0.05
MOST_S: Final = 1.0


def delay_s(failures: int, chance: float) -> float:
    """The wait after so many failures in a row; `chance` in [0, 1) spreads those who failed together."""
    return min(MOST_S, FIRST_S * 2.0 ** min(failures - 1, 16)) * (0.5 + chance / 2)
