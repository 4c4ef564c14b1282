"""The user service's client: introspects tokens over HTTP (RFC 7662), asks once at a time, remembers for a while."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import aiohttp

from gateway.answers import Answers
from gateway.errors import UserServiceUnavailableError
from gateway.introspection import Answer, Introspection, Limits, decode_introspection
from runtime.clock import Clock
from runtime.secret import Secret
from wire.revocation import Revocation, digest_of

__all__ = ["Answer", "Introspection", "Limits", "UserService", "UserServiceUnavailableError"]

_PATH: Final = "/oauth2/introspect"
_MAX_BODY_BYTES: Final = 64 * 1024
_MAX_TOKEN_BYTES: Final = 16 * 1024
_TRIES: Final = 2
_REVOKED_TRIES: Final = 3
_PROBE_TOKEN: Final = "readiness-probe"  # noqa: S105 - no secret: a token that nobody has
_NS_PER_S: Final = 1_000_000_000


class UserService:
    """Asks the user service who a token belongs to. Nobody is let in on anything but a well-formed answer.

    Answers hold until the token's end, at most 60 s, refusals 5 s; at most `cached` of each are kept. While a question
    is under way, others for the same token wait for its answer; none of them is ended by another's cancellation.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: Secret,
        clock: Clock,
        timeout_s: float = 1.0,
        cached: int = 10_000,
        probe_s: float | None = None,
    ) -> None:
        """Take the service's address, and ours to it.

        `timeout_s` bounds one try, of which there are two; with `probe_s` the service is asked about nobody at that
        interval, so that :attr:`unavailable` is true of now.
        """
        self._url = url.rstrip("/") + _PATH
        self._api_key = api_key
        self._clock = clock
        self._timeout_s = timeout_s
        self._probe_s = probe_s
        self._unavailable: str | None = "not asked yet"
        self._answers = Answers(cached)
        self._flights: dict[bytes, asyncio.Future[Answer | str]] = {}
        self._tasks = asyncio.TaskGroup()
        self._open: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    @property
    def unavailable(self) -> str | None:
        """Why the last question got no answer; None when it got one."""
        return self._unavailable

    async def __aenter__(self) -> Self:
        """Open the client; nothing is asked yet."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )
        await self._tasks.__aenter__()
        if self._probe_s is not None:
            self._start(self._probe_forever(self._probe_s), "user_service.probe")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is under way, for those who wait as unavailable, and close the connections."""
        session, self._session = self._session, None
        for task in self._open:
            task.cancel()
        try:
            # Given no error, the group waits for its tasks and leaves the body's error as it is.
            await self._tasks.__aexit__(None, None, None)
        finally:
            for flight in self._flights.values():  # whose task was cancelled before it began
                flight.set_result("the client was closed")
            self._flights.clear()
            if session is not None:
                await session.close()

    async def introspect(self, token: str, *, beyond_ns: int | None = None) -> Answer:
        """Say whose token this is; one that cannot be sent, or is longer than 16 KiB, is inactive unasked.

        With `beyond_ns`, a remembered answer counts only if it holds beyond that time, or refuses. Raises
        UserServiceUnavailableError when there is no well-formed answer after two tries, or only such as revocations
        came over.
        """
        clock = self._clock
        digest = _name(token)
        if digest is None:
            return Answers.refusal(clock.monotonic_ns())
        for _ in range(_REVOKED_TRIES):
            known = self._answers.recall(digest, clock.wall_ns(), clock.monotonic_ns())
            if known is not None and (beyond_ns is None or known.until_ns > beyond_ns or not known.who.active):
                return known
            flight = self._flights.get(digest)
            if flight is None:
                flight = self._depart(digest, token)
            outcome = await asyncio.shield(flight)
            if isinstance(outcome, str):
                raise UserServiceUnavailableError(f"user service: {outcome}")
            if self._answers.stands(digest, outcome):
                return outcome
        raise UserServiceUnavailableError("user service: expected an answer that holds, found it revoked each time")

    def revoke(self, revocation: Revocation) -> None:
        """Believe no answer any more, remembered or under way, that is about who is revoked: it is asked for again."""
        self._answers.revocations.add(revocation)

    def revoke_all(self) -> None:
        """Believe no answer any more: somebody was revoked, and it is not known who."""
        self._answers.revocations.add_all()

    def _depart(self, digest: bytes, token: str) -> asyncio.Future[Answer | str]:
        if self._session is None:
            raise UserServiceUnavailableError("user service: expected an open client, found it closed")
        flight: asyncio.Future[Answer | str] = asyncio.get_running_loop().create_future()
        self._flights[digest] = flight
        self._start(self._fly(digest, token, flight), "user_service.introspect")
        return flight

    async def _fly(self, digest: bytes, token: str, flight: asyncio.Future[Answer | str]) -> None:
        outcome: Answer | str = "the client was closed"
        clock, answers = self._clock, self._answers
        asked = answers.revocations.count
        try:
            said = await self._ask(token)
            if isinstance(said, str):
                outcome = said
            else:
                outcome = answers.remember(digest, said, asked, clock.wall_ns(), clock.monotonic_ns())
        finally:
            del self._flights[digest]
            flight.set_result(outcome)

    async def _probe_forever(self, interval_s: float) -> None:
        while True:
            await self._ask(_PROBE_TOKEN)
            await asyncio.sleep(interval_s)

    def _start(self, work: Coroutine[None, None, None], name: str) -> None:
        task = self._tasks.create_task(work, name=name)
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _ask(self, token: str) -> Introspection | str:
        """Ask, once more after a failure that may pass; give the answer, or why there is none."""
        outcome: Introspection | _Failure = _Failure("not asked", passes=True)
        for _ in range(_TRIES):
            outcome = await self._try(token)
            if isinstance(outcome, Introspection) or not outcome.passes:
                break
        self._unavailable = None if isinstance(outcome, Introspection) else outcome.reason
        return outcome if isinstance(outcome, Introspection) else outcome.reason

    async def _try(self, token: str) -> "Introspection | _Failure":
        if self._session is None:
            return _Failure("the client was closed", passes=False)
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.post(
                    self._url,
                    data={"token": token},
                    headers={"X-Internal-API-Key": self._api_key.reveal()},
                    allow_redirects=False,
                ) as response,
            ):
                return await _read(response)
        except TimeoutError:
            return _Failure(f"expected an answer within {self._timeout_s} s, found none", passes=True)
        except (aiohttp.ClientError, OSError) as error:
            return _Failure(f"expected an answer, found {type(error).__name__}: {error}", passes=True)
        except ValueError as error:
            return _Failure(str(error), passes=False)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why one try gave no answer, and whether another may."""

    reason: str
    passes: bool


async def _read(response: aiohttp.ClientResponse) -> Introspection | _Failure:
    if response.status != HTTPStatus.OK:
        passes = response.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return _Failure(f"expected status 200, found {response.status}", passes=passes)
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            return _Failure(f"expected at most {_MAX_BODY_BYTES} bytes, found more", passes=False)
    return decode_introspection(bytes(body))


def _name(token: str) -> bytes | None:
    """Give the name of a token among the answers; None when it cannot be sent."""
    if not token or len(token) > _MAX_TOKEN_BYTES:
        return None
    try:
        size_bytes = len(token.encode())
    except UnicodeEncodeError:
        return None
    return digest_of(token) if size_bytes <= _MAX_TOKEN_BYTES else None
