"""What others learned the hard way, of the libraries that we rest on: each advisory's fault is not here."""

import asyncio
import random
from importlib.metadata import version

import pytest
from aiohttp import http_parser
from packaging.version import Version

from runtime.redis import Library, RedisClient, RedisTiming
from standins.redis import RedisServer
from tests.attack.attacker import attacker
from tests.gateway.service import running

FIXED_IN = {
    ("websockets", "CVE-2018-1000518, a bomb is inflated before its size is known"): "5.0",
    ("websockets", "CVE-2021-33880, a password is compared in a time that tells of it"): "9.1",
    ("aiohttp", "CVE-2023-47627, requests are smuggled past the parser in Python"): "3.8.6",
    ("aiohttp", "CVE-2024-52304, requests are smuggled in the extensions of a chunk"): "3.10.11",
    ("aiohttp", "CVE-2025-53643, requests are smuggled in trailers"): "3.12.14",
    ("aiohttp", "CVE-2025-69228, a form takes all memory"): "3.13.3",
    ("aiohttp", "CVE-2025-69229, many chunks take all time"): "3.13.3",
    ("aiohttp", "CVE-2026-22815, trailers without end"): "3.13.4",
    ("redis", "CVE-2023-28858 and 28859, a cancelled command leaves its answer to the next"): "4.5.5",
}


@pytest.mark.parametrize(("package", "advisory"), FIXED_IN)
def test_what_is_installed_is_newer_than_its_known_faults(package: str, advisory: str) -> None:
    assert Version(version(package)) >= Version(FIXED_IN[package, advisory]), advisory


def test_http_is_read_by_the_parser_in_c() -> None:
    assert http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy
    assert http_parser.HttpResponseParser is not http_parser.HttpResponseParserPy


async def test_no_body_or_trailer_gets_as_far_as_a_library() -> None:
    trailers = b"".join(b"X-%d: y\r\n" % number for number in range(100_000))
    async with running() as service:
        for head in (b"Transfer-Encoding: chunked", b"Content-Length: 9999999", b"Content-Type: multipart/form-data"):
            async with attacker(service.port) as peer:
                peer.send(
                    b"POST / HTTP/1.1\r\nHost: t\r\n%b\r\n\r\n1;%b\r\nx\r\n0\r\n" % (head, b"x" * 100_000), trailers
                )
                assert (await peer.head()).startswith(b"HTTP/1.1 405 ")


async def test_ten_thousand_reads_of_which_any_are_cancelled_never_give_anothers_value(server: RedisServer) -> None:
    chance = random.Random(7)  # noqa: S311 - any will do
    async with RedisClient(server.url, name="attack", library=Library(""), timing=RedisTiming()) as client:
        await client.run([("MSET", *(text for n in range(10_000) for text in (f"k{n}", f"value of {n}")))])
        given: dict[int, object] = {}

        async def read(number: int) -> None:
            (given[number],) = await client.run([("GET", f"k{number}")])

        cancelled = 0
        for first in range(0, 10_000, 250):
            async with asyncio.TaskGroup() as tasks:
                reading = [tasks.create_task(read(number)) for number in range(first, first + 250)]
                for _ in range(chance.randrange(5)):
                    await asyncio.sleep(0)
                for task in chance.sample(reading, 125):
                    cancelled += task.cancel()
        assert await client.run([("GET", "k1")]) == [b"value of 1"]
    assert 10_000 - len(given) > 2_500
    assert len(given) >= 10_000 - cancelled
    assert given == {number: b"value of %d" % number for number in given}
