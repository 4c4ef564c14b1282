"""A process of a swarm: thousands of raw sockets in one epoll loop, which does what it is told. Does I/O."""

import contextlib
import gc
import os
import select
import signal
import time
from collections import Counter
from multiprocessing.connection import Connection
from typing import Final

import msgspec

from loadtest.crowd import Crowd
from loadtest.histogram import Histogram
from loadtest.link import Link, State
from loadtest.listener import Listener
from loadtest.reports import Connect, Drop, Measure, Quit, Reconnect, Request, Sample, Stall

READ_BYTES: Final = 64 * 1024
EVENTS: Final = 1024
"""Of one look at the sockets."""


class Worker:
    """The clients of one process, told what to do over a pipe."""

    def __init__(self, pipe: Connection, sample_every: int) -> None:
        self._pipe = pipe
        self._crowd = Crowd()
        self._listener = Listener(self._crowd, sample_every)
        self._quit = False
        self._cpu_s = time.process_time()

    def run(self) -> None:
        """Until it is told to quit, or nobody is there to tell it."""
        crowd, pipe = self._crowd, self._pipe.fileno()
        crowd.epoll.register(pipe, select.EPOLLIN)
        links, receive, poll = crowd.links, self._receive, crowd.epoll.poll
        while not self._quit:
            crowd.open_more()
            before = crowd.sample.deliveries
            for descriptor, event in poll(crowd.wait_s(), EVENTS):
                link = links.get(descriptor)
                if link is None:
                    if descriptor == pipe:
                        self._obey()
                elif link.state is State.CONNECTING:
                    crowd.connected(link)
                elif link.state is not State.STALLED and event & select.EPOLLIN:
                    receive(link)
                else:
                    crowd.ended(link, 0)
            if crowd.sample.deliveries != before:
                crowd.sample.last_s = time.monotonic()
        crowd.close()

    def _obey(self) -> None:
        try:
            request: Request = self._pipe.recv()
        except EOFError:
            self._quit = True
            return
        answer: object = None
        match request:
            case Connect():
                self._add(request)
            case Stall(count):
                answer = self._stall(count)
            case Drop(count, stalled):
                answer = self._drop(count, State.STALLED if stalled else State.OPEN)
            case Reconnect():
                answer = self._crowd.call_back()
            case Measure(reset):
                answer = self._measured(reset=reset)
            case Quit():
                self._quit = True
        self._pipe.send(answer)

    def _add(self, request: Connect) -> None:
        pool, wanted = request.channels, request.channels_per_client
        links = []
        for number in request.numbers:
            channels = tuple(pool[(number * wanted + i) % len(pool)] for i in range(wanted)) if pool else ()
            links.append(Link(number, request.target, channels, request.habits))
        self._crowd.add(links, request.habits.in_flight)
        gc.collect()
        gc.freeze()

    def _stall(self, count: int) -> int:
        stalling = self._crowd.some(State.OPEN, count)
        for link in stalling:
            self._crowd.stop_reading(link)
        return len(stalling)

    def _drop(self, count: int, state: State) -> int:
        dropping = self._crowd.some(state, count)
        for link in dropping:
            self._crowd.ended(link, None)
        return len(dropping)

    def _measured(self, *, reset: bool) -> Sample:
        sample, everybody = self._crowd.sample, self._crowd.all
        states = Counter(link.state for link in everybody)
        sample.open, sample.stalled = states[State.OPEN], states[State.STALLED]
        sample.opening = self._crowd.opening
        sample.away = len(everybody) - sample.open - sample.stalled - sample.opening
        now_s = time.process_time()
        sample.cpu_s = now_s - self._cpu_s
        if not reset:
            return msgspec.structs.replace(sample, histogram=Histogram())
        orders = [link.order for link in everybody if link.order is not None]
        sample.finals = sum(order.finals for order in orders)
        sample.lost = sum(order.lost for order in orders)
        sample.repeated = sum(order.repeated for order in orders)
        sample.unrecovered = sum(order.unrecovered for order in orders)
        self._crowd.sample, self._cpu_s = Sample(), now_s
        for order in orders:
            order.finals = order.lost = order.repeated = order.unrecovered = 0
        return sample

    def _receive(self, link: Link) -> None:
        connection = link.socket
        try:
            data = b"" if connection is None else connection.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._crowd.ended(link, 0)
            return
        self._crowd.sample.bytes += len(data)
        if link.rest:
            data = link.rest + data
        if link.state is State.UPGRADING:
            behind = self._crowd.upgraded(link, data)
            if not behind:
                return
            data = behind
        self._listener.take(link, data)


def work(pipe: Connection, core: int | None, sample_every: int) -> None:
    """The life of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if core is not None:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {core})
    pipe.send(None)
    Worker(pipe, sample_every).run()
