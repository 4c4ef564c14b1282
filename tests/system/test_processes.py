"""Every process comes up, says so, serves, and ends cleanly when it is told to."""

import asyncio
import json
import os
import signal
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect

from tests.system.commands import Running, run_command, serving

ENDINGS = pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
KEY = {**os.environ, "INTERNAL_API_KEY": "a key between services"}


async def started_demo(demo: Running) -> tuple[str, str, list[str]]:
    """(the gateway's url, the admin's address, the line to paste)."""
    url = (await demo.line("subscribe at")).split()[-1]
    admin = (await demo.line("admin at")).split()[2].removesuffix("/ready")
    await demo.line("Paste")
    return url, admin, (await demo.line("subscribe ")).split()


async def fetch(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


@ENDINGS
async def test_the_demo_serves_at_once_and_tells_its_clients_3001_when_it_ends(how: signal.Signals) -> None:
    async with serving("demo", "--port", "0", "--admin-port", "0") as demo:
        url, admin, _ = await started_demo(demo)
        assert await fetch(f"{admin}/health") == (200, '{"status":"alive"}')
        status, ready = await fetch(f"{admin}/ready")
        assert (status, json.loads(ready)["ready"]) == (200, True)
        async with connect(url) as socket:
            await socket.send('{"id":1,"connect":{"token":"demo"}}')
            assert "connect" in json.loads(await socket.recv())
            ended = await demo.end(how)
            await socket.wait_closed()
            assert (socket.close_code, socket.close_reason) == (3001, "shutdown")
    assert (ended.status, ended.error) == (0, "")


async def test_the_line_that_the_demo_prints_shows_live_values() -> None:
    async with serving("demo", "--port", "0", "--admin-port", "0") as demo:
        url, admin, line = await started_demo(demo)
        channels = [word.strip("'") for word in line if word.strip("'").startswith(("signals:", "bars:"))]
        assert len(channels) == 2
        shown = await run_command("subscribe", *channels, "--url", url, "--count", "4")
        metrics = await fetch(f"{admin}/api/v1/metrics")
        await demo.end(signal.SIGTERM)
    assert (shown.status, shown.error) == (0, "")
    assert len(shown.lines) == 4
    first = shown.lines[0]
    assert first["channel"] in channels
    value = next(each["data"]["v"] for each in shown.lines if each["channel"].startswith("signals:"))
    assert 0 <= value <= 100
    assert metrics[0] == 200
    for name in ("engine_ticks_total", "gateway_deliveries_total", "gateway_connections"):
        assert f"\n{name} " in metrics[1]


async def test_a_recording_gives_live_and_final_values_to_a_subscriber(recordings: Path) -> None:
    feed = f"replay:{recordings / 'binance-usdm-btcusdt-20240808.gz'}"
    channels = ("signals:BINANCE:BTCUSDT@1s:rsi(14)", "bars:BINANCE:BTCUSDT@1s")
    async with serving("demo", "--port", "0", "--admin-port", "0", "--feed", feed) as demo:
        url, _, _ = await started_demo(demo)
        shown = await run_command("subscribe", *channels, "--url", url, "--count", "20")
        await demo.end(signal.SIGTERM)
    assert (shown.status, len(shown.lines)) == (0, 20)
    assert {line["data"]["final"] for line in shown.lines} == {True, False}
    assert {line["channel"] for line in shown.lines} == set(channels)


async def test_what_was_missed_can_be_printed_from_a_position() -> None:
    channel = "bars:DEMO:S01@1s"
    async with serving("demo", "--port", "0", "--admin-port", "0") as demo:
        url, _, _ = await started_demo(demo)
        shown = await run_command("subscribe", channel, "--url", url, "--count", "30")
        kept = [line for line in shown.lines if line["data"]["final"]][-2:]
        async with connect(url) as socket:
            await socket.send('{"id":1,"connect":{"token":"demo"}}')
            await socket.send(json.dumps({"id": 2, "subscribe": {"channel": channel}}))
            await socket.recv()
            epoch = json.loads(await socket.recv())["subscribe"]["epoch"]
        since = f"{channel}={epoch}:{kept[0]['offset']}"
        missed = await run_command("subscribe", channel, "--url", url, "--count", "1", "--since", since)
        gone = await run_command("subscribe", channel, "--url", url, "--count", "1", "--since", f"{channel}=other:1")
        await demo.end(signal.SIGTERM)
    assert missed.lines[0]["data"] == kept[1]["data"]
    assert gone.status == 1
    assert "112" in gone.error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "107"),
        (["bars:DEMO:S99@1m"], "102"),
        (["status:OTHER"], "102"),
        (["bars:DEMO:S01@1m", "--token", "wrong"], "disconnected"),
    ],
)
async def test_subscribe_prints_a_refusal_with_its_code_and_fails(arguments: list[str], said: str) -> None:
    async with serving("demo", "--port", "0", "--admin-port", "0") as demo:
        url, _, _ = await started_demo(demo)
        refused = await run_command("subscribe", *arguments, "--url", url)
        await demo.end(signal.SIGTERM)
    assert refused.status == 1
    assert said in refused.error
    assert refused.out == ""


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.toml"
    path.write_text('[tokens.alice]\nsub = "42"\nchannels = ["bars:DEMO:*"]\n')
    return path


@ENDINGS
async def test_a_gateway_and_the_user_service_beside_it(how: signal.Signals, tokens: Path, tmp_path: Path) -> None:
    async with serving("standin", "user-service", "--port", "0", "--tokens", str(tokens), environment=KEY) as users:
        address = (await users.line("user service at")).split()[3].rstrip(",")
        config = tmp_path / "gateway.toml"
        config.write_text(
            f'[redis]\nurl = "memory://"\n[user_service]\nurl = "{address}"\n[listen]\nport = 0\n[admin]\nport = 0\n'
            "[drain]\nlinger_s = 0\nperiod_s = 0\n"
        )
        async with serving("gateway", "--config", str(config), environment=KEY) as gateway:
            url = (await gateway.line("gateway at")).split()[-1]
            async with connect(url) as socket:
                await socket.send('{"id":1,"connect":{"token":"alice"}}')
                assert "connect" in json.loads(await socket.recv())
                await socket.send('{"id":2,"subscribe":{"channel":"bars:DEMO:S01@1m"}}')
                refused = json.loads(await socket.recv())
                assert refused["error"]["code"] == 100, "no engine has named the venue, and topics have no owner"
                await gateway.end(how)
                await socket.wait_closed()
                assert socket.close_code == 3001
            assert gateway.process.returncode == 0
        assert (await users.end(how)).status == 0


@ENDINGS
async def test_an_engine_comes_up_is_ready_and_ends(how: signal.Signals, tmp_path: Path) -> None:
    config = tmp_path / "engine.toml"
    config.write_text(
        '[redis]\nurl = "memory://"\n[admin]\nport = 0\n[[feeds]]\nfeed = "synthetic:instruments=2,rate=5"\n'
    )
    async with serving("engine", "--config", str(config)) as engine:
        admin = (await engine.line("admin at")).split()[-1]
        assert (await fetch(f"{admin}/ready"))[0] == 200
        assert "engine_ticks_total" in (await fetch(f"{admin}/metrics"))[1]
        assert (await engine.end(how)).status == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demo", "--feed", "replay:there-is-no-such-file"], "there-is-no-such-file"),
        (["demo", "--feed", "synthetic:speed=3"], "speed"),
        (["demo", "--feed", "kraken:BTC/USD"], "not available yet"),
        (["demo", "--port", "many"], "--port"),
        (["demo", "--feed", "synthetic", "--feed", "synthetic"], "DEMO"),
        (["compute", "nonsense", "--feed", "synthetic:duration=1m"], "nonsense"),
        (["compute", "bars:OTHER:S01@1m", "--feed", "synthetic:duration=1m"], "OTHER"),
        (["compute", "bars:DEMO:S99@1m", "--feed", "synthetic:duration=1m"], "S99"),
        (["indicators", "nonsense"], "nonsense"),
        (["standin", "user-service", "--tokens", "there-is-no-such-file"], "INTERNAL_API_KEY"),
        (["gateway"], "user_service"),
        (["engine", "--config", "there-is-no-such-file"], "there-is-no-such-file"),
        (["subscribe", "bars:DEMO:S01@1m", "--since", "bars:DEMO:S01@1m"], "--since"),
        (["nonsense"], "nonsense"),
        ([], "COMMAND"),
    ],
)
async def test_wrong_usage_is_one_line_and_status_2(arguments: list[str], said: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "INTERNAL_API_KEY"}
    ended = await run_command(*arguments, environment=environment)
    assert ended.status == 2
    assert said in ended.error
    assert ended.error.count("\n") == 1
    assert ended.out == ""


async def test_a_port_that_is_taken_is_one_line_and_status_1() -> None:
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ended = await run_command("demo", "--port", str(port), "--admin-port", "0")
    server.close()
    await server.wait_closed()
    assert ended.status == 1
    assert str(port) in ended.error
    assert ended.error.count("\n") == 1


async def test_a_configuration_can_be_checked(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('[redis]\nurl = "memory://"\n')
    bad.write_text('[redis]\nurl = "memory://"\n[listen]\nport = 70000\n')
    assert (await run_command("gateway", "--config", str(good), "--check", environment=KEY)).status == 0
    refused = await run_command("gateway", "--config", str(bad), "--check", environment=KEY)
    assert refused.status == 2
    assert "listen.port" in refused.error
    bad.write_text('[redis]\nurl = "memory://"\n[timing]\nping_s = 5\n')
    refused = await run_command("gateway", "--config", str(bad), "--check", environment=KEY)
    assert refused.status == 2
    assert "pong_s under ping_s" in refused.error
    overridden = await run_command(
        "gateway", "--config", str(good), "--check", environment={**KEY, "SIGNAL_LISTEN_PORT": "x"}
    )
    assert overridden.status == 2
    assert "SIGNAL_LISTEN_PORT" in overridden.error


@pytest.mark.parametrize(
    "command",
    ["demo", "engine", "gateway", "standin user-service", "subscribe", "compute", "indicators"],
)
async def test_every_command_has_help_with_an_example(command: str) -> None:
    ended = await run_command(*command.split(), "--help")
    assert ended.status == 0
    assert f"signal-service {command}" in ended.out.split("example:")[1]


async def test_indicators_prints_the_whole_catalogue() -> None:
    everything = await run_command("indicators")
    for name in ("sma", "ema", "rma", "rsi", "macd", "bbands", "atr", "tr", "highest", "lowest"):
        assert f"\n{name}" in f"\n{everything.out}"
    one = await run_command("indicators", "MACD")
    assert one.out.startswith("macd(close,12,26,9) ")
    assert "fast=12 (1 to 5000), slow=26 (1 to 5000), signal=9" in one.out
    assert ".macd, .signal, .hist" in one.out
    assert "33 bars" in one.out
