"""The public port of gateways in processes of their own: TLS, and several of them on one port."""

import asyncio
import os
import signal
import ssl
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect

from tests.gateway.certificates import Identity, issue
from tests.system.commands import Running, run_command, serving
from tests.waiting import until

ENVIRONMENT = {**os.environ, "INTERNAL_API_KEY": "a key between services"}
TABLES = (
    '[redis]\nurl = "memory://"\n[user_service]\nurl = "http://127.0.0.1:9"\n[admin]\nport = 0\n'
    "[drain]\nlinger_s = 0\nperiod_s = 0\n"
)


def configuration(directory: Path, listen: str, more: str = "", name: str = "gateway.toml") -> str:
    path = directory / name
    path.write_text(f"{TABLES}[listen]\n{listen}\n{more}")
    return str(path)


def tls(identity: Identity) -> str:
    return f'[tls]\ncertificate = "{identity.config.certificate}"\nkey = "{identity.config.key}"\n'


async def connections(gateway: Running) -> float:
    admin = next(line for line in gateway.printed if line.startswith("admin at")).split()[-1]
    async with aiohttp.ClientSession() as session, session.get(f"{admin}/metrics") as response:
        lines = (await response.text()).splitlines()
    return float(next(line for line in lines if line.startswith("gateway_connections ")).split()[1])


async def test_gateways_on_one_port_all_get_connections(tmp_path: Path, free_port: int) -> None:
    config = configuration(tmp_path, f"port = {free_port}\nreuse_port = true")
    async with (
        serving("gateway", "--config", config, environment=ENVIRONMENT) as first,
        serving("gateway", "--config", config, environment=ENVIRONMENT) as second,
    ):
        for gateway in (first, second):
            await gateway.line(f":{free_port}/")
            await gateway.line("admin at")
        clients = [await connect(f"ws://127.0.0.1:{free_port}/connection/websocket") for _ in range(40)]
        counts = [await connections(gateway) for gateway in (first, second)]
        assert sum(counts) == 40
        assert min(counts) > 0, "one time in 2**39 this fails by chance"
        await first.end(signal.SIGTERM)
        await until(lambda: sum(client.close_code is not None for client in clients) == counts[0])
        late = await connect(f"ws://127.0.0.1:{free_port}/connection/websocket")
        assert await connections(second) == counts[1] + 1
        await second.end(signal.SIGTERM)
        for client in (*clients, late):
            await client.wait_closed()
            assert client.close_code == 3001


async def test_a_port_that_is_not_shared_is_refused(tmp_path: Path, free_port: int) -> None:
    alone = configuration(tmp_path, f"port = {free_port}", name="alone.toml")
    async with serving("gateway", "--config", alone, environment=ENVIRONMENT) as gateway:
        await gateway.line("admin at")
        sharing = configuration(tmp_path, f"port = {free_port}\nreuse_port = true")
        refused = await run_command("gateway", "--config", sharing, environment=ENVIRONMENT)
        await gateway.end(signal.SIGTERM)
    assert refused.status == 1
    assert str(free_port) in refused.error


async def shown(url: str, identity: Identity) -> bytes | None:
    """The certificate that a client is shown that trusts only one; None when it is another."""
    try:
        async with connect(url, ssl=identity.client) as client:
            found: bytes = client.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return found
    except ssl.SSLCertVerificationError:
        return None


async def test_a_hangup_replaces_the_certificate_or_says_why_not(tmp_path: Path) -> None:
    old = issue(tmp_path)
    config = configuration(tmp_path, "port = 0", tls(old))
    async with serving("gateway", "--config", config, environment=ENVIRONMENT) as gateway:
        url = (await gateway.line("gateway at")).split()[-1]
        assert url.startswith("wss:")
        await gateway.line("admin at")
        async with connect(url, ssl=old.client) as before:
            new = issue(tmp_path)
            gateway.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(20):
                while await shown(url, new) != new.certificate:
                    pass
            assert await shown(url, old) is None
            empty(new.config.key)
            gateway.process.send_signal(signal.SIGHUP)
            assert gateway.process.stderr is not None
            refused = b""
            async with asyncio.timeout(20):
                while b"certificate.refused" not in refused:
                    refused = await gateway.process.stderr.readline()
            assert new.config.certificate in refused.decode()
            assert await shown(url, new) == new.certificate
            ended = await gateway.end(signal.SIGTERM)
            await before.wait_closed()
            assert before.close_code == 3001
    assert ended.status == 0


def empty(path: str) -> None:
    Path(path).write_text("")


async def test_a_check_looks_at_the_certificate(tmp_path: Path) -> None:
    identity = issue(tmp_path)
    config = configuration(tmp_path, "port = 0", tls(identity))
    good = await run_command("gateway", "--config", config, "--check", environment=ENVIRONMENT)
    empty(identity.config.key)
    bad = await run_command("gateway", "--config", config, "--check", environment=ENVIRONMENT)
    assert (good.status, good.error) == (0, "")
    assert bad.status == 2
    assert bad.error.startswith("error: tls.certificate, tls.key: expected")
    assert bad.error.count("\n") == 1


@pytest.mark.parametrize(
    ("environment", "status"), [("production", 2), (" Production", 2), ("development", 0), (None, 0)]
)
async def test_any_page_may_connect_but_not_in_production(tmp_path: Path, environment: str | None, status: int) -> None:
    config = configuration(tmp_path, 'port = 0\norigins = ["https://example.org", "*"]')
    variables = {name: value for name, value in ENVIRONMENT.items() if name != "ENVIRONMENT"}
    if environment is not None:
        variables["ENVIRONMENT"] = environment
    ended = await run_command("gateway", "--config", config, "--check", environment=variables)
    assert ended.status == status
    if status:
        assert "listen.origins" in ended.error
        assert "production" in ended.error
