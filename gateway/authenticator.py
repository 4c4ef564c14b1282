"""Asks the user service about one connection's tokens: on connect, on refresh, and again before an answer ends."""

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from gateway.effects import Authenticate, Effect, Refresh, Shut
from gateway.errors import UserServiceUnavailableError
from gateway.introspection import Answer
from gateway.session import Session
from gateway.standing import Due, Standing, stand
from runtime.clock import Clock
from wire import close

log = structlog.get_logger("gateway")


class Introspector(Protocol):
    """The user service, as it is asked here."""

    async def introspect(self, token: str, *, beyond_ns: int | None = None) -> Answer:
        """Say whose token this is; `beyond_ns`: how long an answer is known to hold, of which a newer one is wanted."""


class Authenticator:
    """Tells a session what the user service says. `act` carries out what follows unbidden; it raises nothing.

    It has one timer, and a child of `tasks` only while the user service is asked unbidden.
    """

    __slots__ = ("_act", "_clock", "_session", "_task", "_tasks", "_timer", "_users")

    def __init__(
        self,
        session: Session,
        users: Introspector,
        clock: Clock,
        tasks: asyncio.TaskGroup,
        act: Callable[[Iterable[Effect]], None],
    ) -> None:
        self._session = session
        self._users = users
        self._clock = clock
        self._tasks = tasks
        self._act = act
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def authenticate(self, asked: Authenticate) -> list[Effect]:
        """What follows from a `connect`."""
        try:
            standing = await self._introspect(asked.token)
        except UserServiceUnavailableError as error:
            log.warning("user_service.unavailable", error=str(error))
            return self._session.unreachable(asked.command_id)
        effects = self._session.authenticated(asked.command_id, standing, self._clock.wall_ns())
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
        effects = self._session.refreshed(asked.command_id, standing, self._clock.wall_ns())
        self._watch()
        return effects

    def end(self) -> None:
        """The client is gone: nothing is asked any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _watch(self) -> None:
        """Look at the standing when something is due; while it is reviewed, only its end is."""
        if self._timer is not None:
            self._timer.cancel()
        standing, clock = self._session.standing, self._clock
        if standing is not None:
            wait = standing.wait_s if self._task is None else standing.left_s
            delay_s = wait(clock.wall_ns(), clock.monotonic_ns())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._look, standing)

    def _look(self, standing: Standing) -> None:
        match standing.due(self._clock.wall_ns(), self._clock.monotonic_ns()):
            case Due.EXPIRED:
                self._act([Shut(close.EXPIRED)])
                return
            case Due.UNCONFIRMED:
                self._act([Shut(close.EXPIRED.because("the user service does not answer"))])
                return
            case Due.REVIEW if self._task is None:
                self._task = self._tasks.create_task(self._review(standing), name="connection.review")
        self._watch()

    async def _review(self, before: Standing) -> None:
        """Ask again; a fault of ours ends this connection only."""
        clock = self._clock
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
        clock = self._clock
        answer = await self._users.introspect(token, beyond_ns=beyond_ns)
        return stand(token, answer, clock.wall_ns(), clock.monotonic_ns(), _chance())


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads load, guards nothing
