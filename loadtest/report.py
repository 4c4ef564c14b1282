"""Report: what a load test found, as a table and as JSON. Pure; no I/O."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from loadtest.verdict import Verdict

_MB: Final = 1e6


class Second(Struct, frozen=True):
    """One second of a run, `at_s` from its beginning. `cpu_s` and `resident_bytes` are those of the servers."""

    at_s: float
    deliveries: int
    p99_ms: float
    handshakes: int
    open: int
    cpu_s: float
    resident_bytes: int


class Returning(Struct, frozen=True):
    """How clients came back that were sent away at one time: after how long the last, and how many in a second."""

    clients: int
    last_s: float
    mean_per_s: float
    peak_per_s: int

    @property
    def peak_ratio(self) -> float:
        """The peak second by the mean."""
        return self.peak_per_s / self.mean_per_s if self.mean_per_s else 0.0


class Run(Struct, frozen=True):
    """One run against one kind of server.

    `expected`: deliveries if nobody was skipped. `cpu_us_per_delivery` is that of the servers' processes, of all that
    they did meanwhile. `p50_ms` and so on: from `sent` in the payload to the client. `swarm`: the finals that the
    clients judged, if they did; `witnesses`: those of the full clients. `unrecovered`: how often one of them was told
    that it cannot go on from where it was. `open`: subscribers at the end.
    `counted`: by how much some metrics of the gateways grew.
    """

    server: str
    clients: int
    connects_per_s: float
    failures: dict[str, int]
    deliveries: int
    deliveries_per_s: float
    cpu_us_per_delivery: float
    cpu_ratio: float
    swarm_cpu_ratio: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    closed: int
    by_code: dict[int, int]
    expected: int = 0
    before_bytes: int = 0
    resident_bytes: int = 0
    peak_bytes: int = 0
    connection_bytes: float = 0.0
    late_s: float = 0.0
    swarm: Verdict | None = None
    witnesses: Verdict | None = None
    unrecovered: int = 0
    evicted: int = 0
    open: int = 0
    counted: dict[str, float] = {}
    returning: Returning | None = None
    seconds: tuple[Second, ...] = ()


class Report(Struct, frozen=True):
    """All runs of a scenario."""

    title: str
    machine: str
    date: str
    runs: tuple[Run, ...]


def returning(handshakes: dict[int, int], since_s: float, last_s: float) -> Returning | None:
    """How clients came back after `since_s`; `handshakes` and both times are of one clock. None: nobody did."""
    counts = {second: count for second, count in handshakes.items() if second >= int(since_s)}
    if not counts:
        return None
    seconds = max(counts) - min(counts) + 1
    total = sum(counts.values())
    return Returning(total, last_s - since_s, total / seconds, max(counts.values()))


def as_json(report: Report) -> bytes:
    """All of it."""
    return msgspec.json.format(msgspec.json.encode(report))


def as_table(report: Report) -> str:
    """A line for each run, and what there is to say of its clients below."""
    rows = [_COLUMNS, *(_row(run) for run in report.runs)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    lines = [report.title, report.machine, ""]
    for i, row in enumerate(rows):
        lines.append("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
        if i:
            lines += (f"    {remark}" for remark in remarks(report.runs[i - 1]))
    return "\n".join(lines)


_COLUMNS: Final = (
    *("server", "clients", "connects/s", "deliveries/s", "of expected"),
    *("CPU µs each", "core", "swarm", "p50 ms", "p99 ms", "p99.9 ms", "MB", "kB/client"),
)


def _row(run: Run) -> Sequence[str]:
    return (
        run.server,
        f"{run.clients:,}",
        f"{run.connects_per_s:,.0f}",
        f"{run.deliveries_per_s:,.0f}",
        f"{run.deliveries / run.expected:.1%}" if run.expected else "-",
        f"{run.cpu_us_per_delivery:.2f}",
        f"{run.cpu_ratio:.0%}",
        f"{run.swarm_cpu_ratio:.0%}",
        f"{run.p50_ms:.1f}",
        f"{run.p99_ms:.1f}",
        f"{run.p999_ms:.1f}",
        f"{run.resident_bytes / _MB:.0f}",
        f"{run.connection_bytes / 1e3:.1f}",
    )


def remarks(run: Run) -> Sequence[str]:
    """What is to be said of a run beside its figures."""
    said = []
    if run.failures:
        said.append("failed: " + ", ".join(f"{count} of {why}" for why, count in run.failures.items()))
    if run.closed:
        said.append("closed: " + ", ".join(f"{count} with {code}" for code, count in sorted(run.by_code.items())))
    for who, verdict in (("all clients", run.swarm), ("witnesses", run.witnesses)):
        if verdict is not None:
            said.append(
                f"{who}: {verdict.heard:,} finals, {verdict.lost} lost, {verdict.repeated} repeated, "
                f"{verdict.disordered} out of order, {verdict.strange} never published"
            )
    if run.unrecovered or run.evicted:
        said.append(f"positions: {run.unrecovered} not recovered, {run.evicted} lost while subscribed")
    if run.counted:
        said.append("counted: " + ", ".join(f"{name} {count:,.0f}" for name, count in sorted(run.counted.items())))
    back = run.returning
    if back is not None:
        said.append(
            f"came back: {back.clients:,}, the last after {back.last_s:.1f} s, {run.open:,} in the end; "
            f"{back.mean_per_s:.0f} a second, {back.peak_per_s} in the peak second, {back.peak_ratio:.1f} times as many"
        )
    if run.peak_bytes:
        grown = (run.resident_bytes - run.before_bytes) / _MB
        said.append(
            f"memory: {run.before_bytes / _MB:.0f} MB before, {run.peak_bytes / _MB:.0f} at most, {grown:+.1f} in all"
        )
    if run.late_s > 0.1:
        said.append(f"the publisher was late by {run.late_s:.1f} s: it could not keep the rate")
    return said
