import asyncio
import random
import traceback
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from runtime.errors import ConfigError, RedisUnavailableError
from runtime.redis import MAX_PIPELINED, MAX_WAITING, Library, RedisClient, RedisTiming
from standins.redis import RedisServer
from tests.runtime.fake_server import fake_server, polite, rude, silent, web
from tests.waiting import until

QUICK = RedisTiming(connect_s=0.3, answer_s=0.3)
TEXT = """#!lua name=test_@VERSION@
redis.register_function('count_@VERSION@', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)
"""
LIBRARY = Library(TEXT)


def client_of(url: str, timing: RedisTiming = QUICK) -> RedisClient:
    return RedisClient(url, name="test", library=LIBRARY, timing=timing)


@pytest_asyncio.fixture
async def client(server: RedisServer) -> AsyncIterator[RedisClient]:
    async with client_of(server.url, RedisTiming(answer_s=5.0)) as client:
        yield client


async def one(client: RedisClient, *command: str | bytes | int) -> object:
    (answer,) = await client.run([command])
    return answer


# commands


async def test_every_caller_gets_its_own_answers_in_order(client: RedisClient) -> None:
    groups = [[("ECHO", f"{n}.{i}") for i in range(n % 5)] for n in range(1000)]
    answers = await asyncio.gather(*(client.run(group) for group in groups))
    assert answers == [[f"{n}.{i}".encode() for i in range(n % 5)] for n in range(1000)]


async def test_whoever_gives_up_others_still_get_their_own_answers(client: RedisClient) -> None:
    chance = random.Random(1)  # noqa: S311 - any will do
    for turn in range(30):
        asked = [
            asyncio.create_task(client.run([("ECHO", f"{turn}.{i}"), ("ECHO", "x" * 100)]), name="ask")
            for i in range(100)
        ]
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        gone = set(chance.sample(range(100), 50))
        for i in gone:
            asked[i].cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for i, answer in enumerate(answers):
            assert (i in gone and isinstance(answer, asyncio.CancelledError)) or answer == [
                f"{turn}.{i}".encode(),
                b"x" * 100,
            ]
    assert await one(client, "ECHO", "the end") == b"the end"


async def test_what_nobody_waits_for_any_more_is_not_sent(server: RedisServer, client: RedisClient) -> None:
    await one(client, "PING")
    server.pause()
    first = asyncio.create_task(client.run([("INCR", "first")]), name="first")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = asyncio.create_task(client.run([("INCR", "second")]), name="second")
    await asyncio.sleep(0)
    second.cancel()
    server.resume()
    assert await first == [1]
    assert await one(client, "EXISTS", "second") == 0


async def test_all_callers_share_one_connection(server: RedisServer, client: RedisClient) -> None:
    await asyncio.gather(*(client.run([("INCR", "n")]) for _ in range(500)))
    async with Redis.from_url(server.url, protocol=2) as other:
        names = [connection["name"] for connection in await other.client_list()]
    assert names.count("test") == 1


async def test_a_refused_command_does_not_hide_the_answers_to_others(client: RedisClient) -> None:
    await one(client, "SET", "text", "x")
    before, refused, after = await client.run([("INCR", "n"), ("INCR", "text"), ("INCR", "n")])
    assert (before, after) == (1, 2)
    assert isinstance(refused, RedisUnavailableError)
    assert "not an integer" in str(refused)


async def test_a_server_without_memory_says_so_and_still_answers_what_needs_none(
    server: RedisServer, client: RedisClient
) -> None:
    await one(client, "SET", "here", "x")
    await one(client, "CONFIG", "SET", "maxmemory", "1")
    refused, there = await client.run([("SET", "more", "x"), ("GET", "here")])
    assert isinstance(refused, RedisUnavailableError)
    assert "maxmemory" in str(refused)
    assert there == b"x"


# functions


async def test_functions_are_loaded_when_they_are_missing_and_nothing_is_done_twice(client: RedisClient) -> None:
    call = LIBRARY.call("count", ["called"], 5)
    assert await client.run([("INCR", "a"), call, ("INCR", "b"), call]) == [1, 5, 1, 10]
    assert await client.run([("GET", "a"), ("GET", "b"), ("GET", "called")]) == [b"1", b"1", b"10"]


async def test_functions_are_loaded_again_when_the_server_forgot_them(server: RedisServer, client: RedisClient) -> None:
    call = LIBRARY.call("count", ["called"], 1)
    assert await client.run([call]) == [1]
    await one(client, "FUNCTION", "FLUSH")
    assert await client.run([call]) == [2]
    await one(client, "SCRIPT", "FLUSH")
    assert await client.run([call]) == [3]
    await server.kill()
    await server.restart()
    assert await client.run([call]) == [1]


async def test_functions_of_two_versions_live_side_by_side(server: RedisServer, client: RedisClient) -> None:
    newer = Library(TEXT.replace("args[1])", "args[1]) * 100"))
    assert newer.call("count", [], 1) != LIBRARY.call("count", [], 1)
    async with RedisClient(server.url, name="newer", library=newer, timing=QUICK) as other:
        for turn in (1, 3):
            assert await client.run([LIBRARY.call("count", ["called"], 1)]) == [turn]
            assert await other.run([newer.call("count", ["called"], 1)]) == [(turn + 1) * 100]


# what goes wrong


async def test_a_killed_server_is_unavailable_until_it_is_back(server: RedisServer, client: RedisClient) -> None:
    await one(client, "PING")
    await server.kill()
    for _ in range(2):
        with pytest.raises(RedisUnavailableError):
            await client.run([("PING",)])
    await server.restart()
    assert await one(client, "ECHO", "back") == b"back"


async def test_a_server_that_stops_answering_is_unavailable_and_later_answers_reach_nobody(
    server: RedisServer,
) -> None:
    async with client_of(server.url) as client:
        await one(client, "PING")
        server.pause()
        with pytest.raises(RedisUnavailableError, match=r"no answer in 0\.3 s"):
            await client.run([("ECHO", "too late")])
        server.resume()
        assert await one(client, "ECHO", "in time") == b"in time"


async def test_what_got_no_answer_is_not_sent_again() -> None:
    async with fake_server(rude) as fake, client_of(fake.url) as client:
        with pytest.raises(RedisUnavailableError):
            await client.run([("INCR", "n")])
        assert fake.connections == 1


async def test_what_is_not_a_redis_is_told_from_one() -> None:
    async with fake_server(web) as fake, client_of(fake.url) as client:
        with pytest.raises(RedisUnavailableError, match="Protocol error"):
            await client.run([("PING",)])


def test_an_address_may_say_how_a_server_is_known_by_its_certificate() -> None:
    client_of("rediss://:secret@host?ssl_ca_certs=/ca.pem&ssl_check_hostname=true")


async def test_a_wrong_password_is_told_and_not_shown(server: RedisServer, client: RedisClient) -> None:
    await one(client, "CONFIG", "SET", "requirepass", "right-0815")
    wrong = server.url.replace("//", "//:wrong-4711@")
    async with client_of(wrong) as other:
        with pytest.raises(RedisUnavailableError, match="password") as caught:
            await other.run([("PING",)])
    shown = "".join(traceback.format_exception(caught.value)) + repr(other) + repr(other.open_connection())
    assert "wrong-4711" not in shown
    async with client_of(server.url) as other:
        with pytest.raises(RedisUnavailableError, match="Authentication required"):
            await other.run([("PING",)])
    async with client_of(server.url.replace("//", "//:right-0815@")) as other:
        assert await one(other, "ECHO", "in") == b"in"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1:6379",
        "http://127.0.0.1:6379",
        "redis://user:s3cret@host:port",
        "redis://user:s3cret/4@host:6379",
        "redis://host?db=s3cret",
        "redis://host?unheard_of=s3cret",
        "redis://:s3cret@host?protocol=3",
        "redis://:s3cret@host?socket_timeout=1&ssl_cert_reqs=none",
        "rediss://:s3cret@host?ssl_unheard_of=1",
    ],
)
def test_what_cannot_be_an_address_is_an_error_that_does_not_show_it(address: str) -> None:
    with pytest.raises(ConfigError, match="redis://") as caught:
        client_of(address)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


async def test_waiting_is_bounded() -> None:
    async with fake_server(silent) as fake, client_of(fake.url, RedisTiming(answer_s=60)) as client:
        asked = [asyncio.create_task(client.run([("PING",)]), name="ask") for _ in range(MAX_WAITING + 300)]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_EXCEPTION)
        assert all("others wait" in str(task.exception()) for task in done)
        for task in asked:
            task.cancel()
        await asyncio.wait(asked)


async def test_what_waits_is_sent_in_parts(server: RedisServer, client: RedisClient) -> None:
    async with fake_server(polite) as fake:
        async with client_of(fake.url, RedisTiming(answer_s=60)) as other:
            asked = [asyncio.create_task(other.run([("PING",)]), name="ask") for _ in range(500)]
            await until(lambda: fake.said.count(b"PING") >= MAX_PIPELINED)
            assert fake.said.count(b"PING") == MAX_PIPELINED
        await asyncio.gather(*asked, return_exceptions=True)
    assert await asyncio.gather(*(client.run([("ECHO", n)]) for n in range(500))) == [[b"%d" % n] for n in range(500)]


async def test_leaving_ends_those_who_wait_as_unavailable() -> None:
    async with fake_server(silent) as fake:
        async with client_of(fake.url, RedisTiming(answer_s=60)) as client:
            asked = [asyncio.create_task(client.run([("PING",)] * 200), name="ask") for _ in range(5)]
            await until(lambda: bool(fake.said))  # the first are under way
        answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [str(answer) for answer in answers] == ["closed"] * 5
    with pytest.raises(RedisUnavailableError):
        await client.run([("PING",)])


async def test_nothing_asks_nothing(client: RedisClient) -> None:
    assert await client.run([]) == []
