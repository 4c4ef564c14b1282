"""Listener: what comes to a swarm's clients is counted, judged and answered. Does I/O: answers on their sockets.

What a round brings to one client it mostly brings to all: pieces that are equal are read once. A look for what is
equal costs a comparison, so a delivery costs less here than where it was sent.
"""

import time
from typing import Final

from loadtest.crowd import Crowd
from loadtest.frames import CLOSE, PING, PONG, client_frame
from loadtest.link import Link, State
from loadtest.piece import Piece
from loadtest.target import Answer, Dialect, Evicted, Told

_KNOWN: Final = 512
"""Pieces that are remembered, by how they begin: with the name of a channel, mostly."""
_BEGINNING_BYTES: Final = 64
_NEW_S: Final = 0.5


class Listener:
    """Takes what comes to a crowd; of `sample_every` deliveries one's latency is taken."""

    def __init__(self, crowd: Crowd, sample_every: int) -> None:
        self._crowd = crowd
        self._known: dict[bytes, Piece] = {}
        self._sample_every = sample_every
        self._until_sample = 0
        self._samples = 0

    def take(self, link: Link, data: bytes) -> None:
        """Count what came, which begins with a frame."""
        sample = self._crowd.sample
        piece = self._known.get(data[:_BEGINNING_BYTES])
        if piece is None or piece.data != data or piece.dialect is not link.target.dialect:
            piece = self._read(data, link.target.dialect)
        link.rest = data[piece.end :] if piece.end < len(data) else b""
        count = piece.deliveries
        if count:
            if not sample.deliveries:
                sample.first_s = time.monotonic()
            sample.deliveries += count
            self._until_sample -= count
            if self._until_sample <= 0:
                self._until_sample = self._sample_every
                self._time(piece, link)
            if link.order is not None and not piece.mixed:
                for told in piece.told():
                    link.order.told(told)
        if piece.mixed:
            self._hear_all(link, piece)
            return
        for opcode, message in piece.others:
            if link.socket is not None:
                self._listen(link, opcode, message)

    def _hear_all(self, link: Link, piece: Piece) -> None:
        """Take all messages of a piece in their order."""
        for frame in piece.frames:
            if link.socket is not None:
                self._listen(link, frame.opcode, piece.data[frame.start : frame.end])

    def _read(self, data: bytes, dialect: Dialect) -> Piece:
        piece = Piece(data, dialect)
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[data[:_BEGINNING_BYTES]] = piece
        return piece

    def _time(self, piece: Piece, link: Link) -> None:
        """Take the latency of one delivery of a piece, each time that of another place in it.

        What a client gets because it has subscribed was sent long ago, and tells nothing.
        """
        if time.monotonic() - link.opened_s < _NEW_S:
            return
        self._samples += 1
        sent_us = piece.sent_us(self._samples)
        if sent_us is not None:
            self._crowd.sample.histogram.record(time.time_ns() // 1000 - sent_us)

    def _listen(self, link: Link, opcode: int, message: bytes) -> None:
        """Take a message whose delivery, if it is one, is counted."""
        if opcode == CLOSE:
            link.send(client_frame(message[:2], CLOSE))
            code = int.from_bytes(message[:2], "big")
            if self._crowd.is_opening(link):
                self._crowd.failed(link, f"closed with {code}", code)
            else:
                self._crowd.ended(link, code)
            return
        dialect = link.target.dialect
        if opcode == PING:
            link.send(client_frame(message, PONG))
        elif opcode < CLOSE:
            if dialect.heartbeat is not None and message == dialect.heartbeat[0]:
                link.say(dialect.heartbeat[1])
                return
            for event in dialect.read(message):
                if isinstance(event, Answer):
                    self._answered(link, event)
                elif isinstance(event, Told):
                    if link.order is not None:
                        link.order.told(event)
                elif isinstance(event, Evicted):
                    self._evicted(link, event.channel)

    def _answered(self, link: Link, answer: Answer) -> None:
        if answer.error is not None:
            if link.state is State.OPENING:
                self._crowd.failed(link, answer.error, 0)
            else:
                self._crowd.sample.failures[answer.error] = self._crowd.sample.failures.get(answer.error, 0) + 1
            return
        if link.order is not None and answer.place is not None:
            link.order.answered(link.channels[answer.place], answer)
        link.answers -= 1
        if link.answers == 0 and link.state is State.OPENING:
            self._crowd.opened(link)

    def _evicted(self, link: Link, channel: str) -> None:
        self._crowd.sample.evicted += 1
        position = None if link.order is None else link.order.positions.get(channel)
        link.say(link.target.dialect.subscribe(link.channels.index(channel), channel, position))
