"""What a swarm connects to: an address, and how one speaks there. Pure; no I/O."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class Address(Struct, frozen=True):
    """Where a server listens."""

    host: str
    port: int


class Position(Struct, frozen=True):
    """Where a client stands on a channel."""

    epoch: str
    offset: int


class Told(Struct, frozen=True):
    """A publication of a channel; `bar_ms` is the open time of a final's bar, None for a live value."""

    channel: str
    offset: int
    bar_ms: int | None


class Answer(Struct, frozen=True):
    """A reply. `place` is that of the channel it answers for among the client's own, None for the connection's.

    `position` and `recovered` are as the server says; `told` is what was missed. `error`: what was refused, and why.
    """

    place: int | None
    error: str | None = None
    position: Position | None = None
    recovered: bool = False
    told: tuple[Told, ...] = ()


class Evicted(Struct, frozen=True):
    """The server has ended a subscription; the client may subscribe again at once."""

    channel: str


class Opening(Struct, frozen=True):
    """What a client sends first, a frame each, and how many answers make it a subscriber."""

    frames: tuple[bytes, ...]
    answers: int


class Dialect(Protocol):
    """How clients speak to one kind of server over WebSocket."""

    @property
    def subprotocol(self) -> str | None:
        """What is offered in the handshake."""

    @property
    def heartbeat(self) -> tuple[bytes, bytes] | None:
        """The message by which a server asks whether a client lives, and the answer; None: only WebSocket's own."""

    def opening(self, client: int, channels: Sequence[str], positions: Mapping[str, Position]) -> Opening:
        """How client number `client` subscribes to `channels`, going on from `positions` where it has one."""

    def subscribe(self, place: int, channel: str, position: Position | None) -> bytes:
        """The command that subscribes to the client's channel at `place` once more."""

    def deliveries(self, message: bytes) -> int:
        """How many publications a message holds; 0 for any other message."""

    def read(self, message: bytes) -> Sequence[Answer | Evicted | Told]:
        """All that a message says."""


class Target(Struct, frozen=True):
    """A server to connect to. Client i begins at address i modulo their number; one that comes back goes to the next.

    `addresses` of several processes of one kind; `away` takes their place for those that come back, if it is given.
    """

    addresses: tuple[Address, ...]
    dialect: Dialect
    path: str = "/connection/websocket"
    away: tuple[Address, ...] = ()

    def address(self, client: int, returned: int) -> Address:
        """Where a client goes that has come back `returned` times."""
        those = self.away if returned and self.away else self.addresses
        return those[(client + returned) % len(those)]


class Backoff(Struct, frozen=True):
    """How long an SDK waits before it comes back: `min_s`, and up to that again, doubled with each failure in a row."""

    min_s: float = 0.5
    max_s: float = 20.0

    def delay_s(self, failures: int, chance: float) -> float:
        """`chance` is from 0 to 1."""
        return min(self.max_s, self.min_s + chance * min(self.max_s, self.min_s * 2.0 ** min(failures, 31)))


class Habits(Struct, frozen=True):
    """How clients behave.

    `backoff`: they come back by themselves, None: they stay away. `step_ms`: they keep their positions, recover, and
    judge the order of the finals, whose bars are so far apart. `receive_buffer_bytes` of their sockets, None: as the
    system has it. `in_flight`: how many of a process are in the handshake at once. `stalls`: as subscribers they
    read nothing.
    """

    backoff: Backoff | None = None
    step_ms: int | None = None
    receive_buffer_bytes: int | None = None
    in_flight: int = 256
    stalls: bool = False
