"""What the public port speaks, and to whom: versions, ciphers, certificates that are replaced while it serves."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import warnings
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.config import TlsConfig
from gateway.tls import PROTOCOL, Certificates, load_context
from runtime.errors import ConfigError
from tests.gateway.certificates import Identity, issue
from tests.gateway.service import BARS, running
from tests.gateway.tls_server import tls_server

WEAK = "ALL:@SECLEVEL=0"
"""What a client offers that takes everything."""
OPENSSL = shutil.which("openssl") or ""
openssl = pytest.mark.skipif(not OPENSSL, reason="needs the openssl command")


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return issue(tmp_path_factory.mktemp("certificates"))


def mutant(identity: Identity) -> ssl.SSLContext:
    """A server that takes everything, to show that the client of these tests can speak it."""
    context = load_context(identity.config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers(WEAK)
    return context


async def say(context: ssl.SSLContext, *arguments: str) -> str:
    """What openssl tells of its connection to a server with this context."""
    async with tls_server(context) as server:
        client = await asyncio.create_subprocess_exec(
            OPENSSL,
            "s_client",
            "-connect",
            f"127.0.0.1:{server.port}",
            *arguments,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
        )
        out, _ = await client.communicate()
    return out.decode(errors="replace")


def agreed(said: str) -> str | None:
    """The protocol and cipher that were agreed on; None when the handshake failed."""
    line = next(line for line in said.splitlines() if line.startswith("New, "))
    return None if "(NONE)" in line else line


@openssl
@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
async def test_versions_before_1_2_are_refused(identity: Identity, version: str) -> None:
    said = await say(load_context(identity.config), version, "-cipher", WEAK)
    assert agreed(said) is None
    assert "alert protocol version" in said
    assert agreed(await say(mutant(identity), version, "-cipher", WEAK)) is not None, "the client cannot speak it"


@openssl
@pytest.mark.parametrize(
    ("version", "cipher"), [("-tls1_2", "ECDHE-ECDSA-AES256-GCM-SHA384"), ("-tls1_3", "TLS_AES_256_GCM_SHA384")]
)
async def test_versions_from_1_2_are_accepted(identity: Identity, version: str, cipher: str) -> None:
    said = await say(load_context(identity.config), version, "-alpn", "h2,http/1.1")
    assert cipher in (agreed(said) or "")
    assert "Compression: NONE" in said
    assert f"ALPN protocol: {PROTOCOL}" in said


@openssl
@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-SHA"])
async def test_ciphers_that_do_not_authenticate_what_they_encrypt_are_refused(identity: Identity, cipher: str) -> None:
    options = ("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
    assert agreed(await say(load_context(identity.config), *options)) is None
    if "ECDSA" in cipher:
        assert agreed(await say(mutant(identity), *options)) is not None, "the client cannot speak it"


def test_what_is_spoken(identity: Identity) -> None:
    context = load_context(identity.config)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    ciphers = context.get_ciphers()
    assert {cipher["protocol"] for cipher in ciphers} == {"TLSv1.2", "TLSv1.3"}
    assert all(cipher["aead"] for cipher in ciphers)
    assert {cipher["kea"] for cipher in ciphers if cipher["protocol"] == "TLSv1.2"} == {"kx-ecdhe"}
    for option in (ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION, ssl.OP_CIPHER_SERVER_PREFERENCE):
        assert context.options & option


# certificates


async def test_a_client_is_served_over_tls(identity: Identity) -> None:
    async with running(tls=identity) as service, service.connected() as peer:
        assert service.url.startswith("wss:")
        assert "subscribe" in await peer.ask({"id": 2, "subscribe": {"channel": BARS}})
        await service.engine.publish(BARS, {"n": 1}, final=True)
        assert (await peer.receive())["push"]["pub"]["data"] == {"n": 1}


async def shown(port: int, client: ssl.SSLContext) -> bytes:
    """The certificate that somebody who comes now is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client)
    try:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        await writer.wait_closed()
    assert isinstance(der, bytes)
    return der


async def test_who_comes_after_a_reload_is_shown_the_new_certificate_and_who_is_there_stays(tmp_path: Path) -> None:
    old = issue(tmp_path)
    async with running(tls=old) as service, service.connected() as before:
        assert await shown(service.port, old.client) == old.certificate
        new = issue(tmp_path)
        assert new.config == old.config
        assert await shown(service.port, old.client) == old.certificate
        service.serving.reload()
        assert await shown(service.port, new.client) == new.certificate
        assert "rpc" in await before.ask({"id": 2, "rpc": {"method": "time"}})


def take_key(identity: Identity, other: Identity) -> None:
    """Put the key of another certificate in the place of this one's."""
    Path(identity.config.key).write_bytes(Path(other.config.key).read_bytes())


async def test_a_broken_pair_is_refused_and_the_old_one_is_shown_on(tmp_path: Path) -> None:
    old = issue(tmp_path)
    async with running(tls=old) as service:
        take_key(old, issue(tmp_path, "other"))
        with capture_logs() as logs:
            service.serving.reload()
        assert await shown(service.port, old.client) == old.certificate
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("certificate.refused", "error")
    assert old.config.certificate in line["reason"]
    assert "KEY_VALUES_MISMATCH" in line["reason"]


def broken(directory: Path, what: str) -> TlsConfig:
    good, other = issue(directory), issue(directory, "other")
    key = Path(good.config.key)
    match what:
        case "no certificate":
            Path(good.config.certificate).unlink()
        case "no key":
            key.unlink()
        case "another key":
            return TlsConfig(good.config.certificate, other.config.key)
        case "text":
            key.write_text("a key\n")
        case "empty":
            Path(good.config.certificate).write_text("")
        case "passphrase":
            command = [OPENSSL, "pkey", "-aes256", "-passout", "pass:x"]
            key.write_bytes(subprocess.run(command, input=key.read_bytes(), stdout=PIPE, check=True).stdout)
    return good.config


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("no certificate", "tls.certificate: expected a readable file"),
        ("no key", "tls.key: expected a readable file"),
        ("another key", "tls.certificate, tls.key: expected a certificate and the key that belongs to it"),
        ("text", "tls.certificate, tls.key: expected"),
        ("empty", "tls.certificate, tls.key: expected"),
        pytest.param("passphrase", "without a passphrase", marks=openssl),
    ],
)
def test_a_pair_that_cannot_be_used_is_named_with_its_fault(tmp_path: Path, what: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Certificates(broken(tmp_path, what))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


async def test_plain_text_on_a_port_of_tls_is_not_answered(identity: Identity) -> None:
    loop = asyncio.get_running_loop()
    async with running(tls=identity) as service:
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", service.port))
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while data := await loop.sock_recv(client, 4096):
                answer += data
            assert b"HTTP" not in answer
