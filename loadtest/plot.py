"""Draws what a load test found: against subscribers, or over time when there was one number of them. Writes a file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from loadtest.report import Report, Run, Second

_WIDTH_INCHES: Final = 11
_DPI: Final = 110


def draw(report: Report, path: Path) -> None:
    """Draw a report. Raises OSError when the file cannot be written."""
    over_time = all(len([run for run in report.runs if run.server == server]) == 1 for server in _servers(report))
    figure = Figure(figsize=(_WIDTH_INCHES, 8 if over_time else 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{report.title} · {report.machine}", fontsize=9)
    if over_time:
        _draw_time(report, figure)
    else:
        _draw_subscribers(report, figure)
    figure.savefig(path, dpi=_DPI)


def _servers(report: Report) -> Sequence[str]:
    return tuple(dict.fromkeys(run.server for run in report.runs))


def _draw_subscribers(report: Report, figure: Figure) -> None:
    panels: tuple[tuple[str, Callable[[Run], float]], ...] = (
        ("deliveries a second", lambda run: run.deliveries_per_s),
        ("p99, publish to client, ms", lambda run: run.p99_ms),
        ("CPU of the server, µs a delivery", lambda run: run.cpu_us_per_delivery),
    )
    for axes, (title, figure_of) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for server in _servers(report):
            runs = [run for run in report.runs if run.server == server]
            axes.plot([run.clients for run in runs], [figure_of(run) for run in runs], marker="o", label=server)
        _finish(axes, title, "subscribers")
        axes.xaxis.set_major_formatter("{x:,.0f}")
    _legend(axes, figure)


def _draw_time(report: Report, figure: Figure) -> None:
    panels: tuple[tuple[str, Callable[[Second], float]], ...] = (
        ("deliveries a second", lambda second: second.deliveries),
        ("p99, publish to client, ms", lambda second: second.p99_ms),
        ("memory of the servers, MB", lambda second: second.resident_bytes / 1e6),
        ("handshakes a second", lambda second: second.handshakes),
        ("subscribers", lambda second: second.open),
        ("CPU of the servers, cores", lambda second: second.cpu_s),
    )
    for axes, (title, figure_of) in zip(figure.subplots(3, 2).flat, panels, strict=True):
        for run in report.runs:
            axes.plot([s.at_s for s in run.seconds], [figure_of(s) for s in run.seconds], label=run.server)
        _finish(axes, title, "s")
    _legend(axes, figure)


def _legend(axes: Axes, figure: Figure) -> None:
    """One for all panels, below them."""
    lines, names = axes.get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=len(names), fontsize=8)


def _finish(axes: Axes, title: str, what: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(what, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.yaxis.set_major_formatter("{x:,.10g}")
    axes.set_ylim(0, 1.1 * axes.dataLim.y1 if axes.dataLim.y1 > 0 else 1)
    axes.grid(alpha=0.3)
