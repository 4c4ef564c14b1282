"""A server on socketify, which is uWebSockets, by its publish to a topic. Does I/O.

After a pause it turns its event loop every 10 ms: what is published in between is written together.
"""

import socket

from socketify import App, AppListenOptions, OpCode, WebSocket

from loadtest.peers.console import announce, obey

_TOPIC = "all"
_BACKPRESSURE_BYTES = 16 * 1024 * 1024


def serve() -> None:
    """Serve until standard input ends."""
    app = App()

    def join(client: WebSocket) -> None:
        client.subscribe(_TOPIC)

    async def obeying() -> None:
        await obey(lambda message: app.publish(_TOPIC, message.decode(), OpCode.TEXT))
        app.close()

    app.ws("/*", {"open": join, "max_backpressure": _BACKPRESSURE_BYTES, "idle_timeout": 0})
    port = _free_port()
    app.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda _: announce(port))
    console = app.loop.loop.create_task(obeying(), name="peer.console")  # kept here: the library's way keeps it nowhere
    app.run()
    if not console.cancelled():
        console.result()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
