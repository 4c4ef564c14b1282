"""What stands before several gateways: one address, whose connections go to the gateway that is chosen now."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Balancer:
    """Passes bytes on. Who comes goes to `target`, a port; None turns everybody away."""

    def __init__(self, target: int | None) -> None:
        self.target = target
        self.port = 0
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    async def cut(self) -> None:
        """End all connections without a word."""
        passing = tuple(self._passing)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    def accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(self._pass(reader, writer), name="balancer.connection")
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            if self.target is None:
                return
            from_gateway, to_gateway = await asyncio.open_connection("127.0.0.1", self.target)
            try:
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(_pump(reader, to_gateway), name="balancer.up")
                    ways.create_task(_pump(from_gateway, writer), name="balancer.down")
            finally:
                to_gateway.transport.abort()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _pump(source: StreamReader, sink: StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()


@asynccontextmanager
async def balancer(target: int) -> AsyncIterator[Balancer]:
    """A balancer on a port of its own."""
    passes = Balancer(target)
    server = await asyncio.start_server(passes.accept, "127.0.0.1", 0)
    passes.port = server.sockets[0].getsockname()[1]
    try:
        yield passes
    finally:
        server.close()
        await passes.cut()
        await server.wait_closed()
