"""``websockets.broadcast`` on uvloop. Does I/O."""

from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as serve_websockets

from loadtest.peers.console import announce, obey


async def serve() -> None:
    """Serve until standard input ends. Nothing is compressed, and nobody is pinged."""

    async def stay(connection: ServerConnection) -> None:
        await connection.wait_closed()

    server = await serve_websockets(
        stay, "127.0.0.1", 0, compression=None, ping_interval=None, close_timeout=0.1, backlog=4096
    )
    async with server:
        announce(next(iter(server.sockets)).getsockname()[1])
        await obey(lambda message: broadcast(server.connections, message.decode()))
