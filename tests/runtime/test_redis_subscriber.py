import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from redis.asyncio import Redis

from runtime.redis import Library, RedisClient, RedisTiming
from runtime.redis_subscriber import Subscriber, pause_s
from standins.redis import RedisServer
from tests.runtime.fake_server import fake_server, rude, silent, web
from tests.waiting import until

PATIENT = RedisTiming(first_pause_s=0.005, longest_pause_s=0.02)
QUICK = RedisTiming(connect_s=0.3, ping_s=0.05, silence_s=0.25, first_pause_s=0.005, longest_pause_s=0.02)
GROWING = RedisTiming(first_pause_s=0.001, longest_pause_s=100.0)
PINGING = RedisTiming(ping_s=0.05, silence_s=1.0)
CHANNELS = ("one", "two", "three")


class Ear:
    def __init__(self) -> None:
        self.attachments: list[str] = []
        self.messages: list[tuple[str, bytes]] = []

    def attached(self, channel: str) -> None:
        self.attachments.append(channel)

    def heard(self, channel: str, data: bytes) -> None:
        self.messages.append((channel, data))


@asynccontextmanager
async def subscribed(url: str, ear: Ear, timing: RedisTiming = PATIENT) -> AsyncIterator[Subscriber]:
    client = RedisClient(url, name="test", library=Library(""), timing=timing)
    subscriber = Subscriber(client.open_connection, CHANNELS, attached=ear.attached, heard=ear.heard, timing=timing)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(subscriber.run(), name="subscriber")
        yield subscriber
        running.cancel()


@pytest.fixture
def ear() -> Ear:
    return Ear()


async def test_every_channel_is_attached_and_heard_in_the_order_of_the_messages(
    server: RedisServer, redis: Redis, ear: Ear
) -> None:
    async with subscribed(server.url, ear) as subscriber:
        assert subscriber.unavailable == "not connected yet"
        await until(lambda: subscriber.unavailable is None)
        assert ear.attachments == list(CHANNELS)
        for n in range(100):
            await redis.publish(CHANNELS[n % 3], b"%d" % n)
        await redis.publish("four", b"not for us")
        await redis.publish("one", b"")
        await until(lambda: len(ear.messages) == 101)
    assert ear.messages == [*((CHANNELS[n % 3], b"%d" % n) for n in range(100)), ("one", b"")]


async def test_messages_are_not_taken_for_what_they_look_like(server: RedisServer, redis: Redis, ear: Ear) -> None:
    async with subscribed(server.url, ear, PINGING) as subscriber:
        await until(lambda: subscriber.unavailable is None)
        await redis.publish("one", b"OK")
        await until(lambda: bool(ear.messages))
        await pings(redis, 3)
    assert ear.attachments == list(CHANNELS)


async def pings(redis: Redis, count: int) -> None:
    """Wait until so many pings more have reached the server."""

    async def so_far() -> int:
        return int((await redis.info("commandstats")).get("cmdstat_ping", {"calls": 0})["calls"])

    before = await so_far()
    while await so_far() < before + count:  # noqa: ASYNC110 - there is no event
        await asyncio.sleep(0.002)


async def test_a_connection_on_which_nothing_is_said_is_kept(server: RedisServer, redis: Redis, ear: Ear) -> None:
    async with subscribed(server.url, ear, PINGING) as subscriber:
        await until(lambda: subscriber.unavailable is None)
        await pings(redis, 24)
        assert subscriber.unavailable is None
    assert ear.attachments == list(CHANNELS)


async def test_messages_of_one_read_are_handed_over_without_a_pause(ear: Ear) -> None:
    confirmations = b"".join(b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n" % (len(c), c.encode()) for c in CHANNELS)
    message = b"*3\r\n$7\r\nmessage\r\n$3\r\none\r\n$1\r\nx\r\n"
    turns: list[int] = []

    class Counting(Ear):
        def heard(self, channel: str, data: bytes) -> None:
            if not self.messages:
                asyncio.get_running_loop().call_soon(lambda: turns.append(len(self.messages)))
            super().heard(channel, data)

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write((b"+OK\r\n" if b"SUBSCRIBE" not in fake.said else b"") + b"")
        if b"SUBSCRIBE" in fake.said and fake.connections == 1 and not turns:
            writer.write(confirmations + message * 500)

    ear = Counting()
    async with fake_server(answer) as fake, subscribed(fake.url, ear):
        await until(lambda: bool(turns))
    assert turns == [500]


async def test_a_connection_that_the_server_closed_comes_back_soon_every_time_and_says_so(
    server: RedisServer, redis: Redis, ear: Ear
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with subscribed(server.url, ear, GROWING) as subscriber:
            for times in range(1, 18):  # pauses that grew would be longer than any test
                await until(lambda: subscriber.unavailable is None)
                await redis.publish("one", b"%d" % times)
                await until(lambda times=times: len(ear.messages) == times)  # type: ignore[misc]
                await redis.client_kill_filter(_type="pubsub")
                await until(lambda times=times: len(ear.attachments) == 3 * (times + 1))  # type: ignore[misc]
    assert [data for _, data in ear.messages] == [b"%d" % times for times in range(1, 18)]
    assert [line["event"] for line in logs] == ["redis.heard", *["redis.lost", "redis.heard"] * 17]


async def test_a_server_that_is_not_there_is_tried_ever_more_rarely(ear: Ear) -> None:
    began_s = asyncio.get_running_loop().time()
    async with fake_server(rude) as fake, subscribed(fake.url, ear, GROWING):
        await until(lambda: fake.connections == 10)
    assert asyncio.get_running_loop().time() - began_s > 0.0005 * sum(2**n for n in range(1, 10)) * 0.9


async def test_a_killed_server_is_heard_again_when_it_is_back(server: RedisServer, redis: Redis, ear: Ear) -> None:
    with structlog.testing.capture_logs() as logs:
        async with subscribed(server.url, ear) as subscriber:
            await until(lambda: subscriber.unavailable is None)
            await server.kill()
            await until(lambda: "111" in (subscriber.unavailable or ""))
            await server.restart()
            await until(lambda: subscriber.unavailable is None)
    assert ear.attachments == list(CHANNELS) * 2
    events = [line["event"] for line in logs]
    assert (events[0], set(events[1:-1]), events[-1]) == ("redis.heard", {"redis.lost"}, "redis.heard")
    assert len(events) < 7  # one for each cause, not for each try


async def test_a_server_that_stops_answering_is_given_up_and_heard_again_later(server: RedisServer, ear: Ear) -> None:
    async with subscribed(server.url, ear, QUICK) as subscriber:
        await until(lambda: subscriber.unavailable is None)
        server.pause()
        await until(lambda: subscriber.unavailable == "nothing was heard for 0.25 s")
        await until(lambda: "no answer" in (subscriber.unavailable or ""))
        server.resume()
        await until(lambda: subscriber.unavailable is None)
    assert ear.attachments[:6] == list(CHANNELS) * 2


@pytest.mark.parametrize(
    ("answer", "cause"), [(silent, "no answer in 0.3 s"), (rude, "closed"), (web, "Protocol error")]
)
async def test_what_is_not_a_redis_is_tried_again_and_told_once(answer: object, cause: str, ear: Ear) -> None:
    with structlog.testing.capture_logs() as logs:
        async with fake_server(answer) as fake, subscribed(fake.url, ear, QUICK) as subscriber:  # type: ignore[arg-type]
            await until(lambda: fake.connections >= 4)
            assert cause in (subscriber.unavailable or "")
    assert ear.attachments == []
    assert [line["event"] for line in logs] == ["redis.lost"]


async def test_a_server_that_unsubscribes_is_left_and_subscribed_anew(ear: Ear) -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        if fake.said.endswith(b"three\r\n"):
            writer.write(b"*3\r\n$9\r\nsubscribe\r\n$3\r\none\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$3\r\none\r\n:0\r\n")
        else:
            writer.write(b"+OK\r\n")

    async with fake_server(answer) as fake, subscribed(fake.url, ear) as subscriber:
        await until(lambda: fake.connections >= 3)
        assert "unsubscribe" in (subscriber.unavailable or "")
    assert len(ear.attachments) >= 2


async def test_a_wrong_password_is_told_and_a_right_one_found_later(
    server: RedisServer, redis: Redis, ear: Ear
) -> None:
    await redis.config_set("requirepass", "right-0815")
    async with subscribed(server.url.replace("//", "//:wrong-4711@"), ear) as subscriber:
        await until(lambda: "password" in (subscriber.unavailable or ""))
        assert "wrong-4711" not in (subscriber.unavailable or "")
        await redis.config_set("requirepass", "wrong-4711")
        await until(lambda: subscriber.unavailable is None)


def test_the_pause_before_the_next_try_grows_to_a_bound_and_differs() -> None:
    timing = RedisTiming(first_pause_s=0.05, longest_pause_s=1.0)
    assert [pause_s(timing, failures, 1.0) for failures in (0, 1, 2, 4, 5, 10, 10_000)] == pytest.approx(
        [0.05, 0.1, 0.2, 0.8, 1, 1, 1]
    )
    assert pause_s(timing, 1, 0.0) == pytest.approx(0.05)
