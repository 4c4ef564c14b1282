"""The run of a part of the benchmarks: rows chosen, figures told as they come, a report written. Does I/O."""

import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from signal_service.bench.figures import Figure, Report, as_json, as_lines, header, told
from signal_service.bench.machine import machine, versions
from signal_service.errors import CommandError, UsageError


def chosen(names: Sequence[str], rows: Collection[str]) -> Sequence[str]:
    """The rows that are named, or all. Raises UsageError for one that there is not."""
    for name in names:
        if name not in rows:
            raise UsageError(f"unknown row {name!r}; expected some of {', '.join(rows)}")
    return names or tuple(rows)


def report(
    names: Sequence[str], figures_of: Callable[[str], Iterable[Figure]], json: str | None, *, quick: bool
) -> None:
    """Measure each row and tell its figures; `json` is where the whole goes too, ``-``: to standard output alone.

    Raises CommandError when it cannot be written.
    """
    machine_is = machine()
    figures: list[Figure] = []
    if json != "-":
        print(machine_is, header(), sep="\n")
    for name in names:
        if sys.stderr.isatty():
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
        for figure in figures_of(name):
            figures.append(figure)
            if json != "-":
                print(as_lines(figure), flush=True)
    date = datetime.now(UTC).isoformat(timespec="seconds")
    whole = Report(machine_is, versions(), date, quick, tuple(told(figure) for figure in figures))
    if json is not None:
        _write(json, as_json(whole))


def _write(where: str, text: str) -> None:
    if where == "-":
        sys.stdout.write(text)
        return
    try:
        Path(where).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {where}: {error.strerror}") from error
