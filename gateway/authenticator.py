"""Asks the user service about one connection's tokens: on connect, on refresh, and again before an answer ends."""

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from gateway.effects import Authenticate, Effect, Refresh, Shut
from gateway.errors import UserServiceUnavailableError
from gateway.holders import Holders
from gateway.introspection import Answer, Introspection
from gateway.session import Session
from gateway.standing import Due, Standing, stand
from gateway.user_limits import Excess, UserLimits
from runtime.clock import Clock
from wire import close
from wire.close import Close
from wire.revocation import digest_of

log = structlog.get_logger("gateway")


class Introspector(Protocol):
    """The user service, as it is asked here."""

    async def introspect(self, token: str, *, beyond_ns: int | None = None) -> Answer:
        """Say whose token this is; `beyond_ns`: how long an answer is known to hold, of which a newer one is wanted."""


class Surroundings(Protocol):
    """What all connections of a gateway share, as far as it is needed here."""

    @property
    def users(self) -> Introspector:
        """Who is asked."""

    @property
    def holders(self) -> Holders:
        """Where a connection is found by who it is."""

    @property
    def user_limits(self) -> UserLimits:
        """Where the connections of a subscriber are counted."""

    @property
    def clock(self) -> Clock:
        """What time it is."""

    @property
    def tasks(self) -> asyncio.TaskGroup:
        """Whose children ask unbidden."""


class Authenticator:
    """Tells a session what the user service says. `act` carries out what follows unbidden; it raises nothing.

    It has one timer, and a task only while the user service is asked unbidden. From its first answer on it
    is one of the holders, until the client is gone.
    """

    __slots__ = ("_act", "_counted", "_held", "_parts", "_session", "_task", "_timer")

    def __init__(self, session: Session, parts: Surroundings, act: Callable[[Iterable[Effect]], None]) -> None:
        self._session = session
        self._parts = parts
        self._act = act
        self._held: tuple[str, bytes] | None = None
        self._counted: str | None = None
        """The subscriber whose connection this may be, as limits count it."""
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def authenticate(self, asked: Authenticate) -> list[Effect]:
        """What follows from a `connect`."""
        try:
            standing = await self._introspect(asked.token)
        except UserServiceUnavailableError as error:
            log.warning("user_service.unavailable", error=str(error))
            return self._session.unreachable(asked.command_id)
        self._hold(standing)  # before anything is awaited: a revocation has to find it
        excess = await self._count(standing.who)
        if excess is not None:
            self._release()
            return self._session.crowded(asked.command_id, f"too many {excess.value}")
        effects = self._session.authenticated(asked.command_id, standing, self._parts.clock.wall_ns())
        self._watch()
        return effects

    async def refresh(self, asked: Refresh) -> list[Effect]:
        """What follows from a `refresh`; a failed one leaves the old token as it is."""
        try:
            standing = await self._introspect(asked.token)
        except UserServiceUnavailableError as error:
            log.warning("user_service.unavailable", error=str(error))
            refusal = self._session.refuse(asked.command_id, close.UNAVAILABLE, "the user service does not answer")
            return [refusal]
        effects = self._session.refreshed(asked.command_id, standing, self._parts.clock.wall_ns())
        if self._session.standing is standing:
            self._hold(standing)
        self._watch()
        return effects

    def end(self) -> None:
        """The client is gone: nothing is asked any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        self._release()
        if self._counted is not None:
            self._parts.user_limits.leave(self._counted, self.client_id)

    @property
    def client_id(self) -> str:
        """What the client was told that it is called."""
        return self._session.client_id

    def shut(self, reason: Close) -> None:
        """Close with `reason`, after what is pending."""
        self._act([Shut(reason)])

    async def _count(self, who: Introspection) -> Excess | None:
        """Say what the subscriber has too much of; None when it has not, and this connection counts until `end`."""
        if not who.active:
            return None
        self._counted = who.sub  # before it is known: the client may go meanwhile
        return await self._parts.user_limits.admit(who.sub, self.client_id, who.limits.connections)

    def _hold(self, standing: Standing) -> None:
        """Be found by who this is and the token that it stands on; no longer by another."""
        self._release()
        if standing.who.active:
            self._held = (standing.who.sub, digest_of(standing.token))
            self._parts.holders.add(self, *self._held)

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._parts.holders.remove(self, *held)

    def _watch(self) -> None:
        """Look at the standing when something is due; while it is reviewed, only its end is."""
        if self._timer is not None:
            self._timer.cancel()
        standing, clock = self._session.standing, self._parts.clock
        if standing is not None:
            wait = standing.wait_s if self._task is None else standing.left_s
            delay_s = wait(clock.wall_ns(), clock.monotonic_ns())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._look, standing)

    def _look(self, standing: Standing) -> None:
        match standing.due(self._parts.clock.wall_ns(), self._parts.clock.monotonic_ns()):
            case Due.EXPIRED:
                self._act([Shut(close.EXPIRED)])
                return
            case Due.UNCONFIRMED:
                self._act([Shut(close.EXPIRED.because("the user service does not answer"))])
                return
            case Due.REVIEW if self._task is None:
                self._task = self._parts.tasks.create_task(self._review(standing), name="connection.review")
        self._watch()

    async def _review(self, before: Standing) -> None:
        """Ask again; a fault of ours ends this connection only."""
        clock = self._parts.clock
        try:
            standing = await self._introspect(before.token, beyond_ns=before.until_ns)
            self._act(self._session.reviewed(before, standing, clock.wall_ns()))
        except UserServiceUnavailableError:  # as its readiness check says, once for all connections
            self._session.postponed(before, before.postponed(clock.monotonic_ns(), _chance()))
        except Exception:
            log.exception("connection.failed")
            self._act([Shut(close.INTERNAL_ERROR)])
        self._task = None
        self._watch()

    async def _introspect(self, token: str, *, beyond_ns: int | None = None) -> Standing:
        clock = self._parts.clock
        answer = await self._parts.users.introspect(token, beyond_ns=beyond_ns)
        return stand(token, answer, clock.wall_ns(), clock.monotonic_ns(), _chance())


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads load, guards nothing
