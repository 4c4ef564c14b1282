"""What kernels remember is data: taken out, cut to some slots, put into another kernel, it goes on to the same bits."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from engine.compile import build_node
from engine.kernels.instant import Births, Column, Instant
from engine.kernels.node import Node
from tests.engine.market_columns import Market, Prices, random_market, same_bits
from wire.program import RECURSIONS, WINDOWS, Operation

WIDTH, BARS = 5, 60
MARKET = random_market(seed=23, bars=BARS, slots=WIDTH).born_at([0, 0, 4, 21, 40])
LENGTHS = (2, 3, 8)
KERNELS = [
    *((kernel, (float(n),)) for kernel in (*WINDOWS, "ago") for n in LENGTHS),
    *(("smooth", (float(n), 0.3)) for n in LENGTHS),
    *((kernel, (0.02, 0.2)[: of.parameters]) for kernel, of in RECURSIONS.items()),
]
"""Every kernel that remembers, and its parameters."""


def _node(kernel: str, parameters: tuple[float, ...], width: int) -> Node:
    outputs = RECURSIONS[kernel].outputs if kernel in RECURSIONS else 1
    ready = int(parameters[0]) if kernel == "smooth" else 2
    node = build_node(Operation(kernel, (), parameters, ready, 2, outputs), width, 0)
    assert node.kernel is not None
    assert node.kernel.VERSION == 1
    return node


def _inputs(kernel: str, market: Market, place: int) -> Sequence[Column]:
    bar, before = market.bar(place), market.bar(max(place - 1, 0))
    match kernel:
        case "deviation":
            return bar.close, bar.open
        case "barssince":
            return (np.where(np.isnan(bar.close), np.nan, (bar.close > bar.open) * 1.0),)
        case "kama":
            return bar.close, np.full(market.width, 0.1), before.close
        case "sar":
            return bar.high, bar.low, before.high, before.low
        case "supertrend":
            return bar.high + 0.5, bar.low - 0.5, bar.close, before.close
    return (bar.close,)


def _run(node: Node, kernel: str, market: Market, start: int, stop: int) -> Prices:
    """The values of the bars from `start` to `stop`, all of which are kept."""
    assert node.keep is not None
    values = []
    births = Births.none(market.width, 0)
    for place in range(stop):
        bar = replace(market.bar(place), session_ns=place // 25)
        births = births.joined(place + 1, bar.close)
        if place >= start:
            instant, inputs = Instant(bar, place + 1, births), _inputs(kernel, market, place)
            values.append(node.step(instant, *inputs))
            node.keep(instant, values[-1], *inputs)
    return np.array(values)


@lru_cache
def _uninterrupted(kernel: str, parameters: tuple[float, ...]) -> Prices:
    with np.errstate(all="ignore"):
        return _run(_node(kernel, parameters, WIDTH), kernel, MARKET, 0, BARS)


@pytest.mark.parametrize(("kernel", "parameters"), KERNELS)
@pytest.mark.parametrize(
    ("cut", "slots"), [(0, [2]), (1, [0, 4]), (13, [4, 0, 2]), (31, [3, 1]), (47, [4, 3, 2, 1, 0])]
)
def test_a_kernel_with_the_state_of_another_goes_on_to_the_same_bits(
    kernel: str, parameters: tuple[float, ...], cut: int, slots: list[int]
) -> None:
    with np.errstate(all="ignore"):
        whole = _uninterrupted(kernel, parameters)
        first, second = _node(kernel, parameters, WIDTH), _node(kernel, parameters, len(slots))
        before = _run(first, kernel, MARKET, 0, cut)
        assert first.kernel is not None
        assert second.kernel is not None
        state = first.kernel.state()
        assert all(array.shape[-1] == WIDTH for array in state)
        second.kernel.restore([array.take(slots, axis=-1) for array in state])
        after = _run(second, kernel, MARKET.of(slots), cut, BARS)
        kept_on = _run(first, kernel, MARKET, cut, BARS)
    assert same_bits(before, whole[:cut]) or cut == 0
    assert same_bits(after, whole[cut:, ..., slots])
    assert same_bits(kept_on, whole[cut:])


@pytest.mark.parametrize(("kernel", "parameters"), KERNELS)
def test_a_kernel_that_was_given_a_state_does_not_write_to_it(kernel: str, parameters: tuple[float, ...]) -> None:
    with np.errstate(all="ignore"):
        first, second = _node(kernel, parameters, WIDTH), _node(kernel, parameters, WIDTH)
        _run(first, kernel, MARKET, 0, 31)
        assert first.kernel is not None
        assert second.kernel is not None
        state = [array.copy() for array in first.kernel.state()]
        for array in state:
            array.setflags(write=False)
        copies = [array.copy() for array in state]
        second.kernel.restore(state)
        assert [a.shape for a in second.kernel.state()] == [a.shape for a in state]
        _run(second, kernel, MARKET, 31, BARS)
    assert all(np.array_equal(array, copy, equal_nan=True) for array, copy in zip(state, copies, strict=True))


def test_every_kernel_that_remembers_is_tried() -> None:
    assert {kernel for kernel, _ in KERNELS} == {*WINDOWS, *RECURSIONS, "ago", "smooth"}
