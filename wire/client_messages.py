"""The messages of the client protocol (Centrifuge, version 2), apart from how they are written. Pure; no I/O.

Field names are the protocol's. Requests ignore fields that they do not know, because SDKs grow; the methods that the
gateway does not offer are decoded only so far that they can be refused by name.
"""

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct

UInt32 = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
Position = Annotated[int, Meta(ge=0, le=0x7FFF_FFFF_FFFF_FFFF)]

RECOVERY_OR_ERROR: Final = 2
"""Bit of SubscribeRequest.flag: answer error 112 instead of ``recovered: false``."""


class MessageError(Exception):
    """A frame that holds no valid command; the message says what was expected."""


class ConnectRequest(Struct, frozen=True):
    """The first command of a connection."""

    token: str = ""
    name: str = ""
    version: str = ""


class SubscribeRequest(Struct, frozen=True):
    """Asks for a channel; with ``recover``, for everything after (epoch, offset). ``data`` holds our options."""

    channel: str = ""
    recover: bool = False
    epoch: str = ""
    offset: Position = 0
    data: Raw = Raw()
    flag: int = 0


class UnsubscribeRequest(Struct, frozen=True):
    """Ends a subscription."""

    channel: str = ""


class RefreshRequest(Struct, frozen=True):
    """Puts another token in the place of the connection's."""

    token: str = ""


class Since(Struct, frozen=True):
    """A position as a client gives it; an empty epoch is not compared."""

    offset: Position = 0
    epoch: str = ""


class HistoryRequest(Struct, frozen=True):
    """Asks for a channel's past.

    `limit` 0: the position only; below 0: as much as there is. ``since`` + forward: what came after it; ``since`` +
    `reverse`: what came before it.
    """

    channel: str = ""
    limit: int = 0
    since: Since | None = None
    reverse: bool = False


class RpcRequest(Struct, frozen=True):
    """Calls a method of ours; `data` is its JSON."""

    method: str = ""
    data: Raw = Raw()


class NotOffered(Struct, frozen=True):
    """A request that is refused by its name, whatever it says."""


class Command(Struct, frozen=True):
    """One request; the first method that is not None counts. All None and id 0 is a pong."""

    id: UInt32 = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: UnsubscribeRequest | None = None
    publish: NotOffered | None = None
    presence: NotOffered | None = None
    presence_stats: NotOffered | None = None
    history: HistoryRequest | None = None
    rpc: RpcRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: NotOffered | None = None
    send: NotOffered | None = None
    ping: NotOffered | None = None


NOT_OFFERED_METHODS: Final = ("publish", "presence", "presence_stats", "sub_refresh")
"""Methods that are answered with error 108."""


class Error(Struct, frozen=True, omit_defaults=True):
    """Why a command was refused."""

    code: int
    message: str
    temporary: bool = False


class ConnectResult(Struct, frozen=True, omit_defaults=True):
    """Answers ``connect``. ``ping`` in seconds; ``ttl`` in seconds, only when the client has to refresh."""

    client: str
    version: str
    data: Raw
    ping: int
    pong: bool
    expires: bool = False
    ttl: int = 0


class ClientPublication(Struct, frozen=True, omit_defaults=True):
    """One value as a client gets it."""

    data: Raw
    offset: int = 0


class SubscribeResult(Struct, frozen=True, omit_defaults=True):
    """Answers ``subscribe``."""

    data: Raw
    recoverable: bool = False
    positioned: bool = False
    epoch: str = ""
    offset: int = 0
    recovered: bool = False
    was_recovering: bool = False
    publications: tuple[ClientPublication, ...] = ()


class UnsubscribeResult(Struct, frozen=True):
    """Answers ``unsubscribe``; empty."""


class RefreshResult(Struct, frozen=True, omit_defaults=True):
    """Answers ``refresh``; `ttl` as in ``connect``."""

    client: str
    version: str
    expires: bool = False
    ttl: int = 0


class HistoryResult(Struct, frozen=True):
    """Answers ``history`` with the topic's position; a publication from before the stream has no offset."""

    publications: tuple[ClientPublication, ...]
    epoch: str
    offset: int


class RpcResult(Struct, frozen=True):
    """Answers ``rpc``."""

    data: Raw


class Reply(Struct, frozen=True, omit_defaults=True):
    """Answers the command with the same id: an error or one result."""

    id: int
    error: Error | None = None
    connect: ConnectResult | None = None
    subscribe: SubscribeResult | None = None
    unsubscribe: UnsubscribeResult | None = None
    refresh: RefreshResult | None = None
    history: HistoryResult | None = None
    rpc: RpcResult | None = None
