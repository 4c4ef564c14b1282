"""Figure: what a benchmark found, beside its goal, and how a few of them are written. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Final

import msgspec
from msgspec import Struct

_COLUMNS: Final = ("row", "figure", "goal", "met", "ratio", "also")
_WIDTHS: Final = (14, 16, 9, 3, 7, 0)


class Figure(Struct, frozen=True, kw_only=True):
    """One measured number. `goal` None: nothing is asked of it, it is there to be compared with.

    `at_most`: the goal is an upper bound, else a lower one. `also` are further numbers in words' own units. A NaN is
    what could not be measured.
    """

    name: str
    what: str
    figure: float
    unit: str
    method: str
    goal: float | None = None
    at_most: bool = True
    also: Mapping[str, float] = {}

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.figure <= self.goal if self.at_most else self.figure >= self.goal

    @property
    def ratio(self) -> float | None:
        """How many times better than asked, above 1 when the goal is met; None without one, or of nothing."""
        if self.goal is None or self.figure == 0:
            return None
        return self.goal / self.figure if self.at_most else self.figure / self.goal


class Told(Struct, frozen=True):
    """A figure as JSON has it."""

    name: str
    what: str
    goal: float | None
    at_most: bool
    unit: str
    figure: float
    met: bool | None
    ratio: float | None
    also: Mapping[str, float]
    method: str


class Report(Struct, frozen=True):
    """All figures of one run, and what they were measured on; `date` is ISO 8601, UTC."""

    machine: str
    versions: Mapping[str, str]
    date: str
    quick: bool
    rows: tuple[Told, ...]


def told(figure: Figure) -> Told:
    """`figure` as JSON has it."""
    return Told(
        figure.name,
        figure.what,
        figure.goal,
        figure.at_most,
        figure.unit,
        figure.figure,
        figure.met,
        figure.ratio,
        figure.also,
        figure.method,
    )


def as_json(report: Report) -> str:
    """The report as indented JSON, a line break at its end."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def header() -> str:
    """The line above the figures."""
    return _line(_COLUMNS)


def as_lines(figure: Figure) -> str:
    """A figure in columns, and below it what it is and how it was measured."""
    goal = ""
    if figure.goal is not None:
        goal = f"{'≤' if figure.at_most else '≥'} {number_text(figure.goal)}"
    met = {True: "yes", False: "NO", None: ""}[figure.met]
    ratio = "" if figure.ratio is None else f"{number_text(figure.ratio)}x"
    also = ", ".join(f"{name} {number_text(value)}" for name, value in figure.also.items())
    cells = (figure.name, f"{number_text(figure.figure)} {figure.unit}", goal, met, ratio, also)
    return f"{_line(cells)}\n    {figure.what}: {figure.method}"


def number_text(value: float) -> str:
    """Three digits or so, as one reads them; a dash for a NaN."""
    if isnan(value):
        return "-"
    if value != 0 and abs(value) < 0.001:
        return f"{value:.1e}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _line(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()
