"""Link: one raw connection of a swarm, and what is known of its client. Does I/O: sends on its socket."""

import contextlib
import socket
from collections.abc import Sequence
from enum import Enum
from typing import Final

from loadtest.frames import client_frame, upgrade_request
from loadtest.order import Order
from loadtest.target import Address, Habits, Target

ADDRESS_CLIENTS: Final = 20_000
"""So many share a source address: a system has some 28,000 ports for each."""
_BIND_WITHOUT_PORT: Final = 24
"""IP_BIND_ADDRESS_NO_PORT of Linux: the port is chosen on connecting, where only the pair has to be free."""


class State(Enum):
    """How far a client has come."""

    AWAY = "away"
    CONNECTING = "connecting"
    UPGRADING = "upgrading"
    OPENING = "opening"
    """Upgraded; not all that it asked for is answered."""
    OPEN = "open"
    STALLED = "stalled"


class Link:
    """Client `number`, which wants `channels`."""

    __slots__ = (
        "answers",
        "channels",
        "failures",
        "habits",
        "number",
        "opened_s",
        "order",
        "rest",
        "returned",
        "socket",
        "state",
        "target",
    )

    def __init__(self, number: int, target: Target, channels: Sequence[str], habits: Habits) -> None:
        self.number = number
        self.target = target
        self.channels = channels
        self.habits = habits
        self.order = None if habits.step_ms is None else Order(habits.step_ms)
        self.state = State.AWAY
        self.socket: socket.socket | None = None
        self.rest = b""
        """The beginning of a frame that has not come whole."""
        self.answers = 0
        """How many answers make it a subscriber."""
        self.returned = 0
        """How often it came back."""
        self.opened_s = 0.0
        """When it became a subscriber, by the monotonic clock."""
        self.failures = 0
        """Attempts in a row that came to nothing."""

    @property
    def address(self) -> Address:
        """Where it goes."""
        return self.target.address(self.number, self.returned)

    def connect(self) -> socket.socket:
        """Begin to connect; the socket can be written to once that is done. Raises OSError."""
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        if self.habits.receive_buffer_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.habits.receive_buffer_bytes)
        if self.number >= ADDRESS_CLIENTS:
            connection.setsockopt(socket.IPPROTO_IP, _BIND_WITHOUT_PORT, 1)
            connection.bind((f"127.0.0.{1 + self.number // ADDRESS_CLIENTS}", 0))
        address = self.address
        connection.connect_ex((address.host, address.port))
        self.socket, self.rest, self.state = connection, b"", State.CONNECTING
        return connection

    def upgrade(self) -> None:
        """Ask for WebSocket."""
        address, target = self.address, self.target
        self.state = State.UPGRADING
        host = f"{address.host}:{address.port}"
        self.send(upgrade_request(host, target.path, target.dialect.subprotocol, self.number))

    def begin(self) -> None:
        """Say what makes it a subscriber."""
        positions = {} if self.order is None else self.order.positions
        opening = self.target.dialect.opening(self.number, self.channels, positions)
        self.answers = opening.answers
        self.state = State.OPENING if opening.answers else State.OPEN
        for frame in opening.frames:
            self.say(frame)

    def say(self, message: bytes) -> None:
        """Send a message."""
        self.send(client_frame(message))

    def send(self, data: bytes) -> None:
        """What a socket does not take at once is little, and lost: its connection is ending."""
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.send(data)

    def cut(self) -> None:
        """Close the socket."""
        if self.socket is not None:
            self.socket.close()
        self.socket, self.state = None, State.AWAY
