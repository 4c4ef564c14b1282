"""How clients of a swarm speak to servers."""

import json

import pytest

from loadtest.dialects import Centrifuge, Plain
from loadtest.target import Address, Answer, Backoff, Evicted, Position, Target, Told


def message(*lines: object) -> bytes:
    return b"\n".join(json.dumps(line, separators=(",", ":")).encode() for line in lines)


def push(channel: str, offset: int, **data: object) -> object:
    return {"push": {"channel": channel, "pub": {"data": data, "offset": offset}}}


def test_connect_and_all_subscribes_are_one_frame_and_each_is_answered() -> None:
    opening = Centrifuge(("a", "b"), {"max_rate": 2}).opening(3, ["x", "y"], {"y": Position("e", 7)})

    (frame,) = opening.frames
    connect, x, y = map(json.loads, frame.splitlines())
    assert connect == {"id": 1, "connect": {"token": "b"}}
    assert x == {"id": 2, "subscribe": {"channel": "x", "data": {"max_rate": 2}}}
    assert y["subscribe"] == {"channel": "y", "data": {"max_rate": 2}, "recover": True, "epoch": "e", "offset": 7}
    assert opening.answers == 3


def test_without_tokens_none_is_sent() -> None:
    (frame,) = Centrifuge().opening(0, [], {}).frames

    assert json.loads(frame) == {"id": 1, "connect": {}}


@pytest.mark.parametrize(
    ("said", "events"),
    [
        ([{"id": 1, "connect": {"client": "c"}}], [Answer(None)]),
        ([{"id": 3, "subscribe": {}}], [Answer(1)]),
        (
            [{"id": 2, "subscribe": {"recoverable": True, "epoch": "e", "offset": 4}}],
            [Answer(0, None, Position("e", 4))],
        ),
        ([{"id": 2, "error": {"code": 103, "message": "no"}}], [Answer(0, "subscribe refused: 103 no")]),
        ([{"id": 1, "error": {"code": 109, "message": "old"}}], [Answer(None, "connect refused: 109 old")]),
        ([push("x", 5, t=60_000, final=True)], [Told("x", 5, 60_000)]),
        ([push("x", 5, t=60_000, final=False)], [Told("x", 5, None)]),
        ([push("x", 5, t=60_000, final=True), push("y", 6, v=1)], [Told("x", 5, 60_000), Told("y", 6, None)]),
        ([{"push": {"channel": "x", "unsubscribe": {"code": 2500, "reason": "r"}}}], [Evicted("x")]),
        ([{"push": {"channel": "x", "unsubscribe": {"code": 2100, "reason": "r"}}}], []),
        ([{}], []),
    ],
)
def test_what_a_server_says_is_read(said: list[object], events: list[object]) -> None:
    assert Centrifuge().read(message(*said)) == events


def test_a_reply_that_recovers_tells_what_was_missed() -> None:
    publications = [
        {"data": {"t": 1000, "final": True}, "offset": 8},
        {"data": {"t": 2000, "final": True}, "offset": 9},
    ]
    said = {"recoverable": True, "epoch": "e", "offset": 7, "recovered": True, "publications": publications}

    (answer,) = Centrifuge().read(message({"id": 2, "subscribe": said}))

    assert answer == Answer(0, None, Position("e", 7), recovered=True, told=(Told("", 8, 1000), Told("", 9, 2000)))


def test_deliveries_are_counted_and_replies_are_none() -> None:
    dialect = Centrifuge()

    assert dialect.deliveries(message(push("x", 1, v=1), push("y", 2, v=2))) == 2
    assert dialect.deliveries(message({"id": 2, "subscribe": {"publications": [{"data": {"pub": {}}}]}})) == 0
    assert dialect.deliveries(b"{}") == 0


def test_to_a_plain_server_nothing_is_said_and_all_that_comes_is_a_delivery() -> None:
    dialect = Plain()

    assert dialect.opening(1, ["x"], {}).frames == ()
    assert (dialect.deliveries(b"anything"), dialect.read(b"anything")) == (1, ())


def test_clients_are_spread_over_the_addresses_and_go_to_the_next_when_they_come_back() -> None:
    a, b, c = (Address("h", port) for port in (1, 2, 3))

    target = Target((a, b), Plain())
    assert [target.address(i, 0) for i in range(3)] == [a, b, a]
    assert target.address(0, 1) == b

    target = Target((a,), Plain(), away=(b, c))
    assert [target.address(0, returned) for returned in range(3)] == [a, c, b]


def test_a_backoff_grows_with_failures_and_has_an_end() -> None:
    backoff = Backoff(0.5, 20.0)

    assert backoff.delay_s(0, 0.0) == 0.5
    assert backoff.delay_s(0, 1.0) == 1.0
    assert backoff.delay_s(3, 1.0) == 4.5
    assert backoff.delay_s(1000, 1.0) == 20.0
