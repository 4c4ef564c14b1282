"""What others take for the same bars: TA-Lib's streaming handles and talipp, one of each a slot. No I/O."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import talib
from numpy.typing import NDArray
from talib import stream

from engine.columns import Columns
from signal_service.bench.indicators import TWENTY, Counterpart
from signal_service.bench.timing import timed

SLOTS: Final = 100
"""So many slots are computed by the slow ones; what they take is scaled to all."""


def history(bars: Sequence[Columns], name: str, slot: int) -> NDArray[np.float64]:
    """One series of one slot over all `bars`, as TA-Lib wants it."""
    return np.array([getattr(bar, name).item(slot) for bar in bars])


def batch(counterpart: Counterpart, bars: Sequence[Columns], slot: int) -> NDArray[np.float64]:
    """What TA-Lib's function over the whole history says, for each bar."""
    columns = [history(bars, name, slot) for name in counterpart.inputs]
    result: Any = getattr(talib, counterpart.function)(*columns, **counterpart.parameters)
    return np.asarray(result if counterpart.output is None else result[counterpart.output])


def handle_cold_ms(bars: Sequence[Columns], slots: int) -> float:
    """What opening a handle on all of `bars` takes for every indicator and slot, ms."""
    series = [{name: history(bars, name, slot) for name in _INPUTS} for slot in range(slots)]
    return timed(lambda _: [_open(each, columns) for columns in series for each in TWENTY], 1).worst


def handle_burst_ms(bars: Sequence[Columns], slots: int, times: int) -> float:
    """What updating every handle with one bar takes, ms: the median of `times` bars, behind all of `bars`."""
    updates: list[list[tuple[Callable[..., object], tuple[int, ...]]]] = []
    for slot in range(slots):
        series = {name: history(bars, name, slot) for name in _INPUTS}
        updates.append([(_open(each, series).update, _places(each)) for each in TWENTY])

    def burst(place: int) -> None:
        rows = np.array([getattr(bars[place % len(bars)], name)[:slots] for name in _INPUTS]).T.tolist()
        for row, handles in zip(rows, updates, strict=True):
            for update, places in handles:
                update(*[row[p] for p in places])

    return timed(burst, times).p50


def talipp_burst_ms(bars: Sequence[Columns], slots: int, times: int) -> tuple[float, int] | None:
    """What adding one bar to each of talipp's indicators takes, ms, and how many of the twenty it has.

    None when it is not installed. The median of `times` bars, behind all of `bars`.
    """
    made = _talipp(slots)
    if made is None:
        return None
    for bar in bars:
        _add(made, bar, slots)
    took = timed(lambda place: _add(made, bars[place % len(bars)], slots), times)
    return took.p50, len(made[0])


def talipp_cold_ms(bars: Sequence[Columns], slots: int) -> tuple[float, int] | None:
    """What all of `bars` take, ms, and how many of the twenty it has; None when it is not installed."""
    made = _talipp(slots)
    if made is None:
        return None

    def start(_: int) -> None:
        for bar in bars:
            _add(made, bar, slots)

    return timed(start, 1).worst, len(made[0])


_INPUTS: Final = ("open", "high", "low", "close", "volume")


def _places(counterpart: Counterpart) -> tuple[int, ...]:
    return tuple(_INPUTS.index(name) for name in counterpart.inputs)


def _open(counterpart: Counterpart, series: dict[str, NDArray[np.float64]]) -> Any:  # noqa: ANN401 - untyped library
    columns = [series[name] for name in counterpart.inputs]
    return getattr(stream, counterpart.function)(*columns, **counterpart.parameters)


_Talipp = list[list[tuple[Callable[[Any], None], bool]]]
"""For each slot, how a bar is added to each indicator, and whether it takes the close alone."""


def _talipp(slots: int) -> _Talipp | None:
    try:
        from talipp import indicators as t  # noqa: PLC0415 - only tests install it
    except ImportError:
        return None

    def made() -> list[tuple[Callable[[Any], None], bool]]:
        of_closes = [
            *(t.EMA(20), t.EMA(50), t.EMA(200), t.SMA(20), t.SMA(50)),
            *(t.RSI(14), t.MACD(12, 26, 9), t.BB(20, 2), t.ROC(10)),
        ]
        of_bars = [
            *(t.ATR(14), t.ADX(14, 14), t.Stoch(14, 3), t.Williams(14), t.CCI(20), t.VWMA(20), t.OBV()),
            *(t.KeltnerChannels(20, 10, 2, 2), t.DonchianChannels(20)),
        ]
        return [(each.add, True) for each in of_closes] + [(each.add, False) for each in of_bars]

    return [made() for _ in range(slots)]


def _add(made: _Talipp, bar: Columns, slots: int) -> None:
    from talipp.ohlcv import OHLCV  # noqa: PLC0415 - as above

    rows = np.array([getattr(bar, name)[:slots] for name in _INPUTS]).T.tolist()
    for row, indicators in zip(rows, made, strict=True):
        candle = OHLCV(*row)
        for add, of_close in indicators:
            add(row[3] if of_close else candle)
