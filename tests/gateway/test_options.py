"""What a subscription may be told to leave out; anything else is refused by name."""

import pytest

from gateway.offer import Refusal
from gateway.options import Options, grant, options
from wire.channel import ChannelKind

BARS, TRADES = ChannelKind.BARS, ChannelKind.TRADES


@pytest.mark.parametrize("data", [b"", b"null", b"{}"])
def test_nothing_is_asked_for_by_nothing(data: bytes) -> None:
    assert options(data, BARS) == Options()


def test_each_option_is_read() -> None:
    assert options(b'{"max_rate":2,"final_only":true,"snapshot":false}', BARS) == Options(2, True, False)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b'{"max_rate":0}', "max_rate"),
        (b'{"max_rate":-1}', "max_rate"),
        (b'{"max_rate":1e9}', "max_rate"),
        (b'{"max_rate":"2"}', "max_rate"),
        (b'{"final_only":1}', "final_only"),
        (b'{"maxrate":2}', "maxrate"),
        (b"[]", "object"),
        (b"{", "options"),
        (b"\xff", "options"),
        (b"[" * 100_000, "options"),
    ],
)
def test_what_cannot_be_read_is_refused_and_named(data: bytes, named: str) -> None:
    refused = options(data, BARS)
    assert isinstance(refused, Refusal)
    assert refused.error.code == 107
    assert named in refused.message


def test_finals_only_of_a_channel_without_finals_is_refused() -> None:
    refused = options(b'{"final_only":true}', TRADES)
    assert isinstance(refused, Refusal)
    assert "final_only" in refused.message


@pytest.mark.parametrize(
    ("wanted", "live_rate", "granted"),
    [
        (Options(), None, Options()),
        (Options(5), None, Options(5)),
        (Options(), 2, Options(2)),
        (Options(5), 2, Options(2)),
        (Options(1), 2, Options(1)),
        (Options(), 5000, Options()),
        (Options(), 0, Options(final_only=True)),
        (Options(5, snapshot=False), 0, Options(final_only=True, snapshot=False)),
        (Options(final_only=True), 2, Options(final_only=True)),
    ],
)
def test_a_plan_grants_no_more_than_its_rate(wanted: Options, live_rate: float | None, granted: Options) -> None:
    assert grant(wanted, live_rate) == granted
