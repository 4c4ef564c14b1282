"""What listens where a Redis server was expected, and counts what it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class FakeServer:
    """`answer` is given the connection after each thing that is said on it."""

    def __init__(self, answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> None:
        self._answer = answer
        self.port = 0
        self.connections = 0
        self.said = b""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while data := await reader.read(65536):
                self.said += data
                await self._answer(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def fake_server(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[FakeServer]:
    fake = FakeServer(answer)
    server = await asyncio.start_server(fake.meet, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    async with server:
        yield fake


async def silent(writer: asyncio.StreamWriter) -> None:
    return


async def polite(writer: asyncio.StreamWriter) -> None:
    writer.write(b"+OK\r\n")


async def rude(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def web(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
