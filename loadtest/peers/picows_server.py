"""A server on picows, a WebSocket in Cython, on uvloop. Does I/O."""

from picows import WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from loadtest.peers.console import announce, obey


class _Client(WSListener):
    """One connection, in `open_ones` while it is open."""

    def __init__(self, open_ones: dict["_Client", WSTransport]) -> None:
        self._open_ones = open_ones

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._open_ones[self] = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - the library's signature
        """Send it nothing more."""
        self._open_ones.pop(self, None)


async def serve() -> None:
    """Serve until standard input ends."""
    open_ones: dict[_Client, WSTransport] = {}

    def welcome(_: WSUpgradeRequest) -> _Client:
        return _Client(open_ones)

    def broadcast(message: bytes) -> None:
        for transport in open_ones.values():
            transport.send(WSMsgType.TEXT, message)

    server = await ws_create_server(welcome, "127.0.0.1", 0, backlog=4096)
    async with server:
        announce(server.sockets[0].getsockname()[1])
        await obey(broadcast)
    for transport in list(open_ones.values()):
        transport.disconnect()
