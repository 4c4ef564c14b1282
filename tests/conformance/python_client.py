"""The official Python client, centrifuge-python, with the surface that the conformance tests share."""

import asyncio
import json
from types import TracebackType
from typing import Any, Self

from centrifuge import (
    CentrifugeError,
    Client,
    ClientEventHandler,
    ConnectedContext,
    ConnectingContext,
    DisconnectedContext,
    ErrorContext,
    PublicationContext,
    ReplyError,
    StreamPosition,
    SubscribedContext,
    SubscribingContext,
    SubscriptionErrorContext,
    SubscriptionEventHandler,
    UnsubscribedContext,
)

from tests.conformance.official_client import Events


class PythonClient:
    """An :class:`OfficialClient` on centrifuge-python; JSON unless `protobuf`.

    `next_token` is what its token callback gives when the server calls the token expired; without one it has none.
    A position given to :meth:`subscribe` travels by ``get_state``, the only public way this SDK has for it: the server
    is then asked to refuse (112) what it cannot recover, and the position is given again until it can.
    """

    def __init__(
        self, url: str, token: str | None = None, next_token: str | None = None, *, protobuf: bool = False
    ) -> None:
        self.events = Events()
        self._protobuf = protobuf

        async def give_next_token() -> str:
            return next_token or ""

        self._client = Client(
            url,
            events=_ClientEvents(self.events),
            token=token or "",
            get_token=None if next_token is None else give_next_token,
            use_protobuf=protobuf,
            name="conformance",
            min_reconnect_delay=0.02,
            max_reconnect_delay=0.2,
            proxy=None,
        )

    async def __aenter__(self) -> Self:
        """Nothing is connected yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect, and wait for the tasks that the SDK leaves behind."""
        await self._client.disconnect()
        while left := [task for task in asyncio.all_tasks() if _is_of_the_sdk(task, self._client)]:
            await asyncio.wait(left, timeout=2.0, return_when=asyncio.FIRST_COMPLETED)

    async def connect(self) -> None:
        """Begin to connect, for the first time or again."""
        await self._client.connect()

    async def disconnect(self) -> None:
        """Disconnect, keeping the subscriptions and their positions."""
        await self._client.disconnect()

    async def subscribe(
        self, channel: str, since: tuple[str, int] | None = None, options: object | None = None
    ) -> None:
        """Begin to subscribe, perhaps from a position (epoch, offset); or again, after an unsubscribe."""

        async def give_position(_channel: str) -> StreamPosition:
            epoch, offset = since or ("", 0)
            return StreamPosition(offset, epoch)

        if (known := self._client.get_subscription(channel)) is not None:
            await known.subscribe()
            return
        subscription = self._client.new_subscription(
            channel,
            events=_SubscriptionEvents(channel, self.events),
            data=None if options is None else self._written(options),
            min_resubscribe_delay=0.02,
            max_resubscribe_delay=0.2,
            get_state=None if since is None else give_position,
        )
        await subscription.subscribe()

    async def unsubscribe(self, channel: str) -> None:
        """End a subscription."""
        subscription = self._client.get_subscription(channel)
        if subscription is None:
            raise CentrifugeError(f"expected a subscription to {channel}, found none")
        await subscription.unsubscribe()

    async def history(
        self, channel: str, limit: int, since: tuple[str, int] | None = None, *, reverse: bool = False
    ) -> None:
        """Ask for a channel's past, perhaps from a position (epoch, offset)."""
        position = None if since is None else StreamPosition(since[1], since[0])
        try:
            result = await self._client.history(channel, limit, position, reverse)
        except CentrifugeError as error:
            self.events.put({"event": "refused", **_error(0, error)})
            return
        publications = [{"offset": each.offset or None, "data": _read(each.data)} for each in result.publications]
        position_now = {"offset": result.offset, "epoch": result.epoch}
        self.events.put({"event": "history", "channel": channel, **position_now, "publications": publications})

    async def rpc(self, method: str, data: object) -> None:
        """Call a method of the server's."""
        try:
            result = await self._client.rpc(method, self._written(data))
        except CentrifugeError as error:
            self.events.put({"event": "refused", **_error(0, error)})
            return
        self.events.put({"event": "rpc", "method": method, "data": _read(result.data)})

    async def stop_reading(self) -> None:
        """Leave in the socket whatever comes, as a client does that is stuck."""
        if self._client._conn is not None:
            self._client._conn.transport.pause_reading()

    async def read_again(self) -> None:
        """Read on, if there is still a socket."""
        if self._client._conn is not None:
            self._client._conn.transport.resume_reading()

    def _written(self, data: object) -> object:
        return json.dumps(data).encode() if self._protobuf else data


def _read(data: object) -> object:
    """What the server sent: in protobuf its JSON comes as bytes."""
    return json.loads(data) if isinstance(data, bytes) else data


def _is_of_the_sdk(task: "asyncio.Task[Any]", client: Client) -> bool:
    """Whether a task runs a method of this client, or closes its connection (a static method)."""
    coroutine = task.get_coro()
    code, frame = getattr(coroutine, "cr_code", None), getattr(coroutine, "cr_frame", None)
    if code is None or frame is None or "/centrifuge/" not in code.co_filename:
        return False
    return frame.f_locals.get("self", client) is client


def _error(code: int, error: Exception) -> dict[str, object]:
    if isinstance(error, ReplyError):
        return {"code": error.code, "message": error.message}
    return {"code": code, "message": str(error)}


class _ClientEvents(ClientEventHandler):
    def __init__(self, events: Events) -> None:
        self._events = events

    async def on_connecting(self, ctx: ConnectingContext) -> None:
        self._events.put({"event": "connecting", "code": ctx.code, "reason": ctx.reason})

    async def on_connected(self, ctx: ConnectedContext) -> None:
        self._events.put({"event": "connected", "client": ctx.client, "data": _read(ctx.data)})

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        self._events.put({"event": "disconnected", "code": ctx.code, "reason": ctx.reason})

    async def on_error(self, ctx: ErrorContext) -> None:
        self._events.put({"event": "error", **_error(ctx.code, ctx.error)})


class _SubscriptionEvents(SubscriptionEventHandler):
    def __init__(self, channel: str, events: Events) -> None:
        self._channel = channel
        self._events = events

    def _put(self, event: str, **fields: object) -> None:
        self._events.put({"event": event, "channel": self._channel, **fields})

    async def on_subscribing(self, ctx: SubscribingContext) -> None:
        self._put("subscribing", code=ctx.code, reason=ctx.reason)

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        position = ctx.stream_position
        self._put(
            "subscribed",
            recoverable=ctx.recoverable,
            positioned=ctx.positioned,
            position=None if position is None else {"offset": position.offset, "epoch": position.epoch},
            was_recovering=ctx.was_recovering,
            recovered=ctx.recovered,
            data=_read(ctx.data),
        )

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        self._put("unsubscribed", code=ctx.code, reason=ctx.reason)

    async def on_publication(self, ctx: PublicationContext) -> None:
        self._put("publication", offset=ctx.pub.offset or None, data=_read(ctx.pub.data))

    async def on_error(self, ctx: SubscriptionErrorContext) -> None:
        self._put("subscription_error", **_error(ctx.code, ctx.error))
