"""Moments: the variance of the last n bars. Pure; no I/O."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.kernels.instant import Column, Instant
from engine.kernels.node import State


class Moments:
    """The population variance of the last n > 1 bars, by blocks as in Window.

    Of each merged part there is the mean and the sum of squared deviations from it. Means are held about a reference
    price of the slot, one bar that the part contains and that is in every window the part is used for: the newest bar
    of a block for what is merged from its end, the first for what is merged from its begin. So rounding is small
    beside the deviations themselves, in a quiet market, after a fall of ten orders of magnitude and after a bad tick.
    Merging follows Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances (1979).
    """

    VERSION: Final = 1

    def __init__(self, width: int, n: int) -> None:
        self._n, self._size, self._block = n, n - 1, n // 2
        none: Column = np.full(width, np.nan)
        self._new, self._middle = (np.full((2, self._block, width), np.nan) for _ in range(2))  # means, then squares
        self._newest_of_old = self._newest_of_middle = self._first = none
        self._total = self._prefix = self._front = (none, none)
        self._rest = (none, none, none)  # reference, mean - reference, squares

    def step(self, instant: Instant, x: Column) -> Column:
        """The variance of the window that ends with this bar; NaN until it is full."""
        reference, mean, squares = (instant.pick(column) for column in self._rest)
        value = np.subtract(x, reference)
        value -= mean
        value *= value
        value *= self._size / self._n
        value += squares
        value *= 1 / self._n
        return value

    def keep(self, instant: Instant, _value: Column, x: Column) -> None:
        """Moves on by a bar: four merges."""
        block = self._block
        head = (instant.number - 1) % block
        self._new[0, head] = x
        self._push(x, head)
        if head < block - 1:
            self._merge_back(block - 2 - head)
        older = self._size - block - head - 1
        if older > 0:
            mean, squares = self._new[:, block - older]
            self._rest = self._merged(self._newest_of_old, mean, squares, older, self._front)
        elif older < 0 and block > 1:
            mean, squares = self._middle[:, 1]
            self._rest = self._merged(self._newest_of_middle, mean, squares, block - 1, self._prefix)
        else:
            self._rest = (self._first, *(self._front if older == 0 else self._prefix))
        if head == block - 1:
            self._turn(x)

    def state(self) -> State:
        """The two blocks, their references, and what has been merged of them."""
        blocks = (self._new, self._middle, self._newest_of_old, self._newest_of_middle, self._first)
        return (*blocks, *self._total, *self._prefix, *self._front, *self._rest)

    def restore(self, state: Sequence[NDArray[Any]]) -> None:
        """Goes on from a state."""
        new, middle, self._newest_of_old, self._newest_of_middle, self._first, *merged = state
        self._new, self._middle = new.copy(), middle.copy()
        self._total, self._prefix, self._front = ((merged[i], merged[i + 1]) for i in (0, 2, 4))
        self._rest = (merged[6], merged[7], merged[8])

    def _push(self, x: Column, head: int) -> None:
        """Adds `x`, the `head`-th bar of the new block, to what is merged from the block's begin."""
        if head == 0:
            mean, squares = self._total
            mean = mean + np.subtract(self._first, x)
            self._first = x
            nothing = np.subtract(x, x)
            self._prefix = (nothing, nothing)
            self._front = _pushed(nothing, (mean, squares), self._block)
            return
        x = np.subtract(x, self._first)
        self._prefix = _pushed(x, self._prefix, head)
        self._front = _pushed(x, self._front, self._block + head)

    def _merge_back(self, row: int) -> None:
        """Merges a row of the middle block with those after it."""
        means, squares = self._middle
        count = self._block - 1 - row
        step = np.subtract(means[row], self._newest_of_middle)
        step -= means[row + 1]
        np.multiply(step, 1 / (count + 1), out=means[row])
        means[row] += means[row + 1]
        step *= step
        step *= count / (count + 1)
        np.add(squares[row + 1], step, out=squares[row])

    def _merged(
        self, reference: Column, mean: Column, squares: Column, count: int, newer: tuple[Column, Column]
    ) -> tuple[Column, Column, Column]:
        """The rest, of `count` bars merged from the end of a block and of `newer` ones, which make it full."""
        newer_mean, newer_squares = newer
        mean = mean + np.subtract(reference, self._first)
        step = np.subtract(newer_mean, mean)
        share = (self._size - count) / self._size
        mean += step * share
        step *= step
        step *= count * share
        step += squares
        step += newer_squares
        return self._first, mean, step

    def _turn(self, newest: Column) -> None:
        """The new block is whole: it becomes the middle one, and that the old one."""
        self._new, self._middle = self._middle, self._new
        self._middle[:, -1] = np.subtract(newest, newest)
        self._newest_of_old, self._newest_of_middle = self._newest_of_middle, newest
        self._total = self._prefix


def _pushed(x: Column, part: tuple[Column, Column], count: int) -> tuple[Column, Column]:
    """A part of `count` bars, its mean held about the same reference as `x`, with one more."""
    mean, squares = part
    step = np.subtract(x, mean)
    mean = mean + step * (1 / (count + 1))
    step *= step
    step *= count / (count + 1)
    step += squares
    return mean, step
