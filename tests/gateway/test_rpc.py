"""What a client can ask without subscribing."""

import asyncio
import json
import time
from typing import Any

import pytest

from gateway.directory import Directory
from gateway.entitlements import Entitlements
from gateway.rpc import SLICE, Rpc
from standins.broker import MemoryBroker
from standins.clock import ManualClock
from standins.user_service import TokenRecord
from tests.gateway.service import Peer, running
from wire.catalogue import INDICATORS
from wire.talib_functions import TALIB_FUNCTIONS

CATALOGUE = {"AAA": ["X1"], "DEMO": ["S01", "S02", "S03"], "ZZZ": [f"Y{n:04}" for n in range(1500)]}


async def call(peer: Peer, method: str, data: object = None, command_id: int = 5) -> dict[str, Any]:
    request = {"method": method} if data is None else {"method": method, "data": data}
    reply = await peer.ask({"id": command_id, "rpc": request})
    assert reply["id"] == command_id
    return reply


async def result(peer: Peer, method: str, data: object = None) -> Any:
    return (await call(peer, method, data))["rpc"]["data"]


async def test_time_is_the_gateways() -> None:
    async with running() as service, service.connected() as peer:
        now_ms = (await result(peer, "time", {}))["time_ms"]
    assert abs(now_ms - time.time() * 1000) < 60_000


async def test_indicators_are_the_catalogue() -> None:
    async with running() as service, service.connected() as peer:
        listed = await result(peer, "indicators")
    assert len(listed) == len(INDICATORS) + len(TALIB_FUNCTIONS)
    assert len(json.dumps(listed)) < 192 * 1024
    (rsi,) = [entry for entry in listed if entry["name"] == "rsi(close,14)"]
    assert rsi["warm_up_bars"] == 14
    assert [parameter["name"] for parameter in rsi["parameters"]] == ["length"]


async def test_an_unknown_method_is_error_104() -> None:
    async with running() as service, service.connected() as peer:
        for method in ("nothing", "", "x" * 1000):
            error = (await call(peer, method))["error"]
            assert error["code"] == 104
            assert "temporary" not in error


async def test_calls_come_after_connect() -> None:
    async with running() as service, service.raw() as peer:
        await peer.send({"id": 1, "rpc": {"method": "time"}})
        assert (await peer.closed())[0] == 3501


# instruments


async def test_instruments_are_listed_in_order_and_found_by_any_part_of_their_name() -> None:
    async with running() as service, service.connected() as peer:
        await service.broker.announce(CATALOGUE)
        assert await result(peer, "instruments", {"q": "demo"}) == [
            {"venue": "DEMO", "symbol": symbol} for symbol in ("S01", "S02", "S03")
        ]
        assert await result(peer, "instruments", {"q": "o:s02"}) == [{"venue": "DEMO", "symbol": "S02"}]
        assert await result(peer, "instruments", {"q": "nothing"}) == []
        some = await result(peer, "instruments", {"limit": 5})
    assert [each["symbol"] for each in some] == ["X1", "S01", "S02", "S03", "Y0000"]


async def test_a_hundred_instruments_are_listed_if_no_limit_is_given_and_a_thousand_at_most() -> None:
    async with running() as service, service.connected() as peer:
        await service.broker.announce(CATALOGUE)
        for data, count in ((None, 100), ({}, 100), ({"limit": 1000}, 1000), ({"limit": 10**9}, 1000)):
            assert len(await result(peer, "instruments", data)) == count


async def test_the_longest_list_fits_a_frame() -> None:
    async with running() as service, service.connected() as peer:
        await service.broker.announce({"V" * 32: [f"{n:04}" + "S" * 60 for n in range(1500)]})
        assert len(await result(peer, "instruments", {"limit": 1000})) == 1000
        await peer.socket.send('{"id":6,"rpc":{"method":"instruments","data":{"limit":1000}}}')
        assert len(await peer.socket.recv()) < 192 * 1024


async def test_instruments_that_no_channel_could_show_are_not_listed() -> None:
    async with running() as service:
        service.users.tokens["some"] = TokenRecord(
            sub="5", channels=("bars:DEMO:S01@1m", "signals:ZZZ:Y000*@*:rsi(close,14)", "trades:DEMO:S03", "status:*")
        )
        await service.broker.announce(CATALOGUE)
        async with service.connected("some") as peer:
            listed = await result(peer, "instruments", {})
        async with service.connected("none") as peer:
            assert await result(peer, "instruments", {}) == []
    assert [each["symbol"] for each in listed] == ["S01", "S03", *(f"Y000{n}" for n in range(10))]


async def test_others_are_served_while_a_long_list_is_made(clock: ManualClock) -> None:
    broker = MemoryBroker(topics=1, monotonic_s=lambda: 0.0)
    await broker.announce(CATALOGUE)
    rpc, turns = Rpc(Directory(broker, lambda: 0.0), clock), 0
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(rpc.call("instruments", b"{}", Entitlements(["bars:NONE:*"])))
        while not task.done():
            turns += 1
            await asyncio.sleep(0)
    assert bytes(task.result()) == b"[]"
    assert turns >= 1504 / SLICE


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"limit": "x"}, "$.limit"),
        ({"limit": 0}, "$.limit"),
        ({"q": 7}, "$.q"),
        ({"limt": 7}, "limt"),
        ([], "object"),
        ("x", "object"),
    ],
)
async def test_what_is_wrong_in_a_call_is_error_107_and_named(data: object, place: str) -> None:
    async with running() as service, service.connected() as peer:
        error = (await call(peer, "instruments", data))["error"]
    assert error["code"] == 107
    assert place in error["message"]


# validate


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (
            {"expression": " RSI( length = 14 )"},
            {"canonical": "rsi(close,14)", "outputs": [], "warm_up_bars": 14, "unstable_bars": 14},
        ),
        ({"expression": "close[3]"}, {"canonical": "close[3]", "outputs": [], "warm_up_bars": 3, "unstable_bars": 3}),
        (
            {"channel": "signals:DEMO:S99@1m:close[2]"},
            {"canonical": "signals:DEMO:S99@1m:close[2]", "outputs": [], "warm_up_bars": 2, "unstable_bars": 2},
        ),
        (
            {"channel": "bars:DEMO:S01@1m"},
            {"canonical": "bars:DEMO:S01@1m", "outputs": [], "warm_up_bars": 0, "unstable_bars": 0},
        ),
        (
            {"channel": "screens:DEMO@1m: close > close[3]"},
            {"canonical": "screens:DEMO@1m:close>close[3]", "outputs": [], "warm_up_bars": 3, "unstable_bars": 3},
        ),
        (
            {"channel": "status:DEMO"},
            {"canonical": "status:DEMO", "outputs": [], "warm_up_bars": 0, "unstable_bars": 0},
        ),
    ],
)
async def test_validate_gives_the_canonical_form_and_the_warm_up(data: object, wanted: dict[str, Any]) -> None:
    async with running() as service, service.connected("none") as peer:
        found = await result(peer, "validate", data)
    unstable = found.pop("unstable_bars")
    assert unstable >= wanted.pop("unstable_bars")
    assert found == wanted


async def test_validate_names_the_outputs() -> None:
    async with running() as service, service.connected() as peer:
        found = await result(peer, "validate", {"expression": "macd"})
    assert (found["canonical"], found["outputs"]) == ("macd(close,12,26,9)", ["macd", "signal", "hist"])


@pytest.mark.parametrize(
    ("data", "code", "column"),
    [
        ({"expression": "close + foo"}, 107, 9),
        ({"expression": ""}, 107, 1),
        ({"expression": "x" * 1000}, 107, 256),
        ({"expression": "sma(close, 6000)"}, 107, 12),
        ({"channel": "signals:DEMO:S01@1m:close +"}, 107, 8),
        ({"channel": "bars:DEMO"}, 107, None),
        ({"channel": "bars:DEMO:S01@7m"}, 102, None),
        ({"channel": "trades:DEMO:S01@1m"}, 107, None),
        ({"channel": "alerts:DEMO:S01@1m:close"}, 107, None),
    ],
)
async def test_what_a_subscribe_would_refuse_is_an_answer_and_no_error(
    data: object, code: int, column: int | None
) -> None:
    async with running() as service, service.connected("none") as peer:
        error = (await result(peer, "validate", data))["error"]
    assert (error["code"], error.get("column")) == (code, column)
    assert error["message"]


@pytest.mark.parametrize("data", [None, {}, {"expression": 7}, {"expression": "close", "channel": "c"}, {"text": ""}])
async def test_validate_wants_one_thing_to_judge(data: object) -> None:
    async with running() as service, service.connected() as peer:
        assert (await call(peer, "validate", data))["error"]["code"] == 107
