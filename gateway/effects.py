"""What a session wants done: the effects that its executor carries out, in order. Pure; no I/O."""

from msgspec import Raw, Struct

from gateway.chart import Query
from gateway.options import Options
from gateway.subscription import Subscription
from wire.channel import Channel
from wire.client_messages import Reply
from wire.close import Close, Unsubscribe
from wire.position import StreamPosition


class Send(Struct, frozen=True):
    """Answer a command."""

    reply: Reply


class Authenticate(Struct, frozen=True):
    """Ask the user service about `token`, then call `Session.authenticated` or `Session.unreachable`."""

    command_id: int
    token: str


class Refresh(Struct, frozen=True):
    """Ask the user service about a new `token`, then call `Session.refreshed`, or refuse."""

    command_id: int
    token: str


class Open(Struct, frozen=True):
    """Open a subscription under the client's name for it, then call `Session.opened` or `Session.refuse`."""

    command_id: int
    name: str
    channel: Channel
    position: StreamPosition | None
    or_error: bool
    """Error 112 is wanted instead of ``recovered: false``."""
    options: Options


class Recall(Struct, frozen=True):
    """Answer with a channel's past, or refuse."""

    command_id: int
    channel: Channel
    query: Query


class Call(Struct, frozen=True):
    """Answer an rpc, or refuse; `data` is its JSON, empty where the client gave none."""

    command_id: int
    method: str
    data: Raw


class Leave(Struct, frozen=True):
    """Forget a subscription."""

    subscription: Subscription


class Evict(Struct, frozen=True):
    """Forget a subscription and tell the client why."""

    subscription: Subscription
    reason: Unsubscribe


class Shut(Struct, frozen=True):
    """Close the connection, `after_s` from now if the client has not."""

    close: Close
    after_s: float = 0.0


Effect = Send | Authenticate | Refresh | Open | Recall | Call | Leave | Evict | Shut
