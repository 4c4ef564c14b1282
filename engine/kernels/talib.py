"""Handles: a function of TA-Lib over the slots of a graph, one streaming handle for each. Pure; no I/O."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from types import MappingProxyType
from typing import Any, Final, Protocol

import numpy as np
import talib
from numpy.typing import NDArray
from talib import abstract, stream

from engine.errors import GraphError
from engine.kernels.instant import Column, Instant
from engine.kernels.node import State
from wire.program import TALIB, Operation

MAX_REMEMBERED: Final = 10_000
"""The most bars beyond the lookback that a handle is reopened from."""

SEEDING: Final = 64
"""Bars beyond the lookback that TA-Lib's seeds may need."""

Row = tuple[float, ...]


class Handle(Protocol):
    """A streaming handle of TA-Lib: a float for one output, a tuple for several."""

    @property
    def value(self) -> float | Row:
        """The value at the last bar."""

    def peek(self, *row: float) -> float | Row:
        """What `update` would answer; changes nothing."""

    def update(self, *row: float) -> float | Row:
        """The value with one more bar."""


_TOTALS: Final[Mapping[str, tuple[np.ufunc, np.ufunc]]] = MappingProxyType(
    {
        "CUMSUM": (np.add, np.subtract),
        "PVT": (np.add, np.subtract),
        "WAD": (np.add, np.subtract),
        "NVI": (np.multiply, np.divide),
        "PVI": (np.multiply, np.divide),
    }
)
"""Functions that build on all bars: how what was before is joined to their value, and taken off it."""

_WILDER: Final = 13
"""TA-Lib's number of Wilder's average."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a kernel is like: how many inputs, outputs, bars before the first value, and bars that are remembered.

    The inputs have values from a slot's bar `first` on, counted from 1 at boundary `began` + 1 or at its birth.
    """

    inputs: int
    outputs: int
    lookback: int
    remembered: int
    first: int
    began: int


def handles(operation: Operation, width: int, began: int) -> "Handles":
    """The kernel of a ``talib:NAME`` operation, without history. GraphError if TA-Lib has no such function."""
    name = operation.kernel.removeprefix(TALIB)
    construct = getattr(stream, name, None)
    if construct is None:
        raise GraphError(f"expected a function of TA-Lib, found {name!r}")
    function = abstract.Function(name)  # type: ignore[attr-defined]
    values = zip(function.parameters.items(), _arguments(name, operation.parameters), strict=True)
    arguments = {parameter: type(default)(value) for (parameter, default), value in values}
    function.parameters = arguments
    lookback = int(function.lookback)
    spare = 0 if name in _TOTALS else min(operation.settled - operation.ready, MAX_REMEMBERED)
    form = Form(
        inputs=len(operation.inputs),
        outputs=operation.outputs,
        lookback=lookback,
        remembered=lookback + SEEDING + spare,
        first=operation.ready - lookback,
        began=began,
    )

    def opened(history: NDArray[np.float64]) -> Handle | None:
        try:
            handle: Handle = construct(*np.ascontiguousarray(history.T), **arguments)
        except talib.InsufficientHistory:  # type: ignore[attr-defined]
            return None
        return handle

    return Totals(opened, form, width, _TOTALS[name]) if name in _TOTALS else Handles(opened, form, width)


def _arguments(name: str, parameters: tuple[float, ...]) -> tuple[float, ...]:
    """TA-Lib's own arguments."""
    if name == "KDJ":  # its averages stay Wilder's, as in every other program
        length, slow, signal = parameters
        return length, slow, _WILDER, signal, _WILDER
    return parameters


Opened = Callable[[NDArray[np.float64]], Handle | None]
"""A handle that ends with a history of shape (bars, inputs); None if that is too short."""


class Handles:
    """A function of TA-Lib: `keep` updates the handle of each slot, `step` peeks.

    A bar that is not finite in every input is no bar for that slot, and has no value; nor has one whose value is
    infinite. A slot's handle opens when its bars are as many as the function needs, so it answers what the function
    gives for all of them at once.

    A handle cannot be stored. What is remembered are the newest bars, by reference: as many as the value depends on,
    MAX_REMEMBERED at most. From a state handles are opened anew: within 1e-9 of those that went on, not bit for bit.
    """

    VERSION: Final = 1

    def __init__(self, opened: Opened, form: Form, width: int) -> None:
        self._opened = opened
        self._form = form
        self._none: float | Row = nan if form.outputs == 1 else (nan,) * form.outputs
        self._past: deque[tuple[Column, ...] | NDArray[np.float64]] = deque(maxlen=form.remembered)
        self._begin(width)

    def step(self, instant: Instant, /, *inputs: Column) -> Column:
        """The values with this bar, of shape (outputs, slots) if there are several; NaN until a handle opens."""
        rows = self._rows(instant, inputs)
        slots = range(len(rows)) if instant.slots is None else instant.slots.tolist()
        found = [self._none if row is None else self._peeked(slot, row) for slot, row in zip(slots, rows, strict=True)]
        values: Column = np.array(found, dtype=np.float64)
        if np.isinf(values).any():
            values[np.isinf(values)] = np.nan
        return values.reshape(len(rows), self._form.outputs).T if self._form.outputs > 1 else values

    def keep(self, instant: Instant, _value: Column, /, *inputs: Column) -> None:
        """Adds a closed bar to every slot that has one."""
        rows = self._rows(instant, inputs)
        absent = [slot for slot, row in enumerate(rows) if row is None]
        self._past.append((_without(inputs[0], absent), *inputs[1:]) if absent else inputs)
        for slot, row in enumerate(rows):
            if row is None:
                continue
            handle = self._handles[slot]
            if handle is not None:
                handle.update(*row)
                continue
            self._bars[slot] += 1
            if self._bars[slot] > self._form.lookback:
                self._handles[slot] = self._opened(self._history(slot))

    def state(self) -> State:
        """The newest bars, oldest first, NaN where there are none: one array of shape (bars, inputs, slots)."""
        bars = self._form.remembered
        rows = np.full((bars, self._form.inputs, len(self._handles)), np.nan)
        for place, columns in enumerate(self._past, bars - len(self._past)):
            rows[place] = columns
        return (rows,)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state: opens a handle for each slot with enough bars."""
        rows = state[0]
        self._begin(rows.shape[-1])
        self._past.extend(rows)
        for slot in range(rows.shape[-1]):
            history = _finite(rows[:, :, slot])
            self._bars[slot] = len(history)
            if len(history) > self._form.lookback:
                self._handles[slot] = self._opened(history)

    def _begin(self, width: int) -> None:
        self._past.clear()
        self._handles: list[Handle | None] = [None] * width
        self._bars = [0] * width

    def _rows(self, instant: Instant, inputs: Sequence[Column]) -> list[Row | None]:
        """What the inputs have for each slot in hand; None where it has no bar, or an input that still warms up.

        Over lists: most graphs that have handles have a slot or two, and a handle wants numbers.
        """
        closes = instant.pick(instant.columns.close).tolist()
        rows: list[Row | None] = [
            row if isfinite(close) and all(map(isfinite, row)) else None
            for close, row in zip(closes, zip(*(x.tolist() for x in inputs), strict=True), strict=True)
        ]
        young = instant.young(0, self._form.first - 1, self._form.began)
        if young is not None:
            for place in young[0].tolist():
                rows[place] = None
        return rows

    def _peeked(self, slot: int, row: Row) -> float | Row:
        """The values of a slot with one more bar."""
        handle = self._handles[slot]
        if handle is not None:
            return handle.peek(*row)
        if self._bars[slot] >= self._form.lookback:
            handle = self._opened(np.vstack([self._history(slot), row]))
        return self._none if handle is None else handle.value

    def _history(self, slot: int) -> NDArray[np.float64]:
        """The bars of a slot that are remembered, of shape (bars, inputs)."""
        rows = [[column[slot] for column in columns] for columns in self._past]
        return _finite(np.array(rows, dtype=np.float64).reshape(-1, self._form.inputs))


class Totals(Handles):
    """A function with one output that builds on all bars: what came before a restart is joined to what came after.

    `joining` is how, and how it is taken off again: a sum is added, a product multiplied.
    """

    _newest: Column
    _before: Column

    def __init__(self, opened: Opened, form: Form, width: int, joining: tuple[np.ufunc, np.ufunc]) -> None:
        self._join, self._take_off = joining
        super().__init__(opened, form, width)

    def step(self, instant: Instant, /, *inputs: Column) -> Column:
        """The value with this bar."""
        joined: Column = self._join(super().step(instant, *inputs), instant.pick(self._before))
        return joined

    def keep(self, instant: Instant, value: Column, /, *inputs: Column) -> None:
        """Adds a closed bar to every slot that has one."""
        super().keep(instant, value, *inputs)
        self._newest = np.where(np.isnan(value), self._newest, value)

    def state(self) -> State:
        """The newest bars, and the newest value of each slot."""
        return (*super().state(), self._newest)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        super().restore(state)
        self._newest = state[1]
        anew = np.array([np.nan if handle is None else handle.value for handle in self._handles])
        with np.errstate(all="ignore"):
            before = self._take_off(self._newest, anew)
        self._before = np.where(np.isfinite(before), before, self._before)

    def _begin(self, width: int) -> None:
        super()._begin(width)
        self._newest = np.full(width, np.nan)
        self._before = np.full(width, float(self._join.identity))


def _without(column: Column, slots: Sequence[int]) -> Column:
    """A copy with NaN at some slots."""
    column = column.copy()
    column[list(slots)] = np.nan
    return column


def _finite(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows without a NaN or an infinity."""
    finite: NDArray[np.float64] = rows[np.isfinite(rows).all(axis=1)]
    return finite
