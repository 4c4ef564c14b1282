"""What a load test found, as it is said."""

from pathlib import Path

import msgspec

from loadtest.plot import draw
from loadtest.report import Report, Returning, Run, Second, as_json, as_table, returning
from loadtest.verdict import Verdict

RUN = Run(
    server="gateway",
    clients=1000,
    connects_per_s=500.0,
    failures={"handshake refused: 503": 2},
    deliveries=9_900,
    deliveries_per_s=990.0,
    cpu_us_per_delivery=4.5,
    cpu_ratio=0.5,
    swarm_cpu_ratio=0.25,
    p50_ms=1.0,
    p99_ms=2.0,
    p999_ms=3.0,
    closed=3,
    by_code={3001: 3},
    expected=10_000,
    before_bytes=50_000_000,
    resident_bytes=52_000_000,
    peak_bytes=53_000_000,
    witnesses=Verdict(10, lost=1, repeated=2),
    unrecovered=1,
    open=990,
    counted={'gateway_closes_total{code="3008"}': 7.0},
    returning=Returning(1000, 25.0, 50.0, 100),
    seconds=(Second(1.0, 990, 2.0, 0, 1000, 0.5, 50_000_000), Second(2.0, 990, 2.5, 3, 1000, 0.5, 50_000_000)),
)


def report(*runs: Run) -> Report:
    return Report("a title", "a machine", "2026-01-01", runs)


def test_a_table_has_a_line_for_each_run_and_what_there_is_to_say_below() -> None:
    lines = as_table(report(RUN)).splitlines()

    assert lines[:2] == ["a title", "a machine"]
    assert lines[4].split() == [
        *("gateway", "1,000", "500", "990", "99.0%", "4.50", "50%", "25%", "1.0", "2.0", "3.0", "52", "0.0")
    ]
    said = "\n".join(lines[5:])
    assert "2 of handshake refused: 503" in said
    assert "3 with 3001" in said
    assert "witnesses: 10 finals, 1 lost, 2 repeated, 0 out of order" in said
    assert (
        "1,000, the last after 25.0 s, 990 in the end; 50 a second, 100 in the peak second, 2.0 times as many" in said
    )
    assert 'counted: gateway_closes_total{code="3008"} 7' in said
    assert "50 MB before, 53 at most, +2.0 in all" in said


def test_as_json_it_can_be_read_again() -> None:
    assert msgspec.json.decode(as_json(report(RUN)), type=Report) == report(RUN)


def test_how_clients_came_back_is_told_from_the_seconds_of_their_handshakes() -> None:
    back = returning({5: 100, 10: 10, 11: 30, 13: 20}, since_s=9.5, last_s=13.5)

    assert back == Returning(clients=60, last_s=4.0, mean_per_s=15.0, peak_per_s=30)
    assert back.peak_ratio == 2.0
    assert returning({5: 100}, since_s=9.5, last_s=5.5) is None


def test_a_report_is_drawn_against_subscribers_or_over_time(tmp_path: Path) -> None:
    for name, runs in (("time", (RUN,)), ("subscribers", (RUN, msgspec.structs.replace(RUN, clients=2000)))):
        path = tmp_path / f"{name}.png"
        draw(report(*runs), path)
        assert path.read_bytes().startswith(b"\x89PNG")
