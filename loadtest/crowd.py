"""Crowd: the clients of one process of a swarm, from connecting to their end. Does I/O: an epoll and its sockets."""

import contextlib
import heapq
import os
import random
import select
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from loadtest.frames import END_OF_HEAD, status_of
from loadtest.link import Link, State
from loadtest.reports import Sample

_ANY: Final = select.EPOLLIN | select.EPOLLRDHUP
_ATTEMPT_S: Final = 15.0
"""A handshake that takes longer has failed."""
_NEVER_S: Final = 3600.0
_FINAL_CODES: Final = range(3500, 4000)
"""Who is closed with one of these never comes back."""


class Crowd:
    """All clients of a process; `sample` is what came to them."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.links: dict[int, Link] = {}
        """By descriptor: those that have a socket."""
        self.all: list[Link] = []
        self.sample = Sample()
        self._waiting: deque[Link] = deque()
        """Those that are to be opened when there is room."""
        self._opening: dict[Link, float] = {}
        """Those in the handshake, in the order in which they began, with the time."""
        self._returning: list[tuple[float, int, Link]] = []
        """Those that come back by themselves, by the time when they do."""
        self._in_flight = 1

    @property
    def opening(self) -> int:
        """How many are in the handshake, or wait for it."""
        return len(self._opening) + len(self._waiting)

    def is_opening(self, link: Link) -> bool:
        """Whether one is in the handshake."""
        return link in self._opening

    def add(self, links: Sequence[Link], in_flight: int) -> None:
        """Open these, so many at once."""
        self._in_flight = in_flight
        self.all += links
        self._waiting += links

    def call_back(self) -> int:
        """Open those that are away; gives how many there were."""
        waiting = set(self._waiting)
        away = [link for link in self.all if link.state is State.AWAY and link not in waiting]
        for link in away:
            link.returned += link.habits.backoff is None
        self._returning.clear()
        self._waiting.extend(away)
        return len(away)

    def some(self, state: State, count: int) -> Sequence[Link]:
        """So many of those in a state, if there are, by chance."""
        those = [link for link in self.all if link.state is state]
        random.shuffle(those)
        return those[:count]

    def close(self) -> None:
        """Cut all."""
        for link in self.all:
            link.cut()
        self.epoll.close()

    def wait_s(self) -> float:
        """How long nothing is due."""
        due_s = self._returning[0][0] if self._returning else _NEVER_S + time.monotonic()
        if self._opening:
            due_s = min(due_s, next(iter(self._opening.values())) + _ATTEMPT_S)
        return max(0.0, due_s - time.monotonic())

    def open_more(self) -> None:
        """Begin what is due, as far as there is room; give up what takes too long."""
        now_s = time.monotonic()
        while self._returning and self._returning[0][0] <= now_s:
            self._waiting.append(heapq.heappop(self._returning)[2])
        while self._opening and next(iter(self._opening.values())) + _ATTEMPT_S <= now_s:
            self.failed(next(iter(self._opening)), "no answer in time", 0)
        while self._waiting and len(self._opening) < self._in_flight:
            link = self._waiting.popleft()
            self._opening[link] = now_s
            try:
                descriptor = link.connect().fileno()
            except OSError as error:
                self.failed(link, f"no socket: {error.strerror}", 0)
                continue
            self.links[descriptor] = link
            self.epoll.register(descriptor, select.EPOLLOUT)

    def connected(self, link: Link) -> None:
        """The socket is connected, or will not be."""
        connection = link.socket
        error = 0 if connection is None else connection.getsockopt(1, 4)  # SOL_SOCKET, SO_ERROR
        if error:
            self.failed(link, f"no connection: {os.strerror(error)}", 0)
            return
        self.epoll.modify(_descriptor(link), _ANY)
        link.upgrade()

    def upgraded(self, link: Link, data: bytes) -> bytes | None:
        """What came behind the answer to the handshake; None when that is not whole, or no welcome."""
        end = data.find(END_OF_HEAD)
        if end < 0:
            link.rest = data
            return None
        status = status_of(data[:end])
        if status != 101:
            self.failed(link, f"handshake refused: {status}", status)
            return None
        second = int(time.monotonic())
        self.sample.handshakes[second] = self.sample.handshakes.get(second, 0) + 1
        link.rest = b""
        link.begin()
        if link.state is State.OPEN:
            self.opened(link)
        return data[end + len(END_OF_HEAD) :]

    def opened(self, link: Link) -> None:
        """It is a subscriber."""
        link.state, link.failures = State.OPEN, 0
        self._opening.pop(link, None)
        self.sample.opened_s = time.monotonic()
        if link.channels:
            link.opened_s = self.sample.opened_s
        if link.habits.stalls:
            self.stop_reading(link)

    def stop_reading(self, link: Link) -> None:
        """It reads nothing from now on."""
        link.state = State.STALLED
        self.epoll.modify(_descriptor(link), select.EPOLLRDHUP)

    def failed(self, link: Link, why: str, code: int) -> None:
        """An attempt has come to nothing."""
        self.sample.failures[why] = self.sample.failures.get(why, 0) + 1
        self.ended(link, code)

    def ended(self, link: Link, code: int | None) -> None:
        """A connection is over; `code` None: by our own will."""
        opened = link.state in (State.OPEN, State.STALLED)
        self._opening.pop(link, None)
        if link.socket is not None:
            descriptor = link.socket.fileno()
            self.links.pop(descriptor, None)
            with contextlib.suppress(OSError):
                self.epoll.unregister(descriptor)
        link.cut()
        if code is not None:
            self.sample.closed += 1
            self.sample.by_code[code] = self.sample.by_code.get(code, 0) + 1
        backoff = link.habits.backoff
        if backoff is None or code in _FINAL_CODES:
            return
        link.returned += 1
        link.failures = 0 if opened else link.failures + 1
        due_s = time.monotonic() + backoff.delay_s(link.failures, random.random())  # noqa: S311 - spreads load
        heapq.heappush(self._returning, (due_s, link.number, link))


def _descriptor(link: Link) -> int:
    return -1 if link.socket is None else link.socket.fileno()
