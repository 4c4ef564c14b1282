"""Writer: one topic's publishing: who owns it, where it stands, what is on its way. Pure; no I/O.

One batch is on its way at a time. It is in once the topic stands right behind it; until then it is sent again as it
is. When the topic stands elsewhere it has to be acquired anew. What was on its way then goes into another batch only
if it is known not to be in, or if the epoch is a new one.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from engine.backoff import delay_s
from engine.outgoing import Outgoing, Taken
from engine.packing import Correction, Corrections, Drop, Finals, Start, pack
from engine.resumption import Closing, Resumption, tell
from engine.retention import Retention
from engine.tenure import Claim, Claimed, Tenure
from wire.envelope import Acquired, Batch, Ownership, Publication
from wire.position import Offset

HEARTBEAT_S: Final = 1.0


class _Parcel(Struct, frozen=True):
    """A batch on its way, and what it was made of."""

    batch: Batch
    taken: Taken


class Writer:
    """The writer of one topic of the engine called `engine`, which is a random word.

    ``passed``: the newest boundary that the engine has handed out, by ``VENUE@TIMEFRAME``, kept by its owner.
    """

    def __init__(self, topic: int, engine: str, passed: Mapping[str, int]) -> None:
        self.topic = topic
        self.tenure = Tenure(engine)
        self.failures = 0
        """Answers in a row that did not come."""
        self.retry_s = float("-inf")
        """When to try again what was not answered."""
        self._passed = passed
        self._since: dict[str, Offset] = {}
        """The rows that the bus holds, as far as that was answered."""
        self._closed: dict[str, int] = {}
        """The boundaries that the bus holds as closed, likewise."""
        self._retell = False
        """True while the bus has to be told them again."""
        self._outgoing = Outgoing()
        self._parcel: _Parcel | None = None
        self._sent_s = float("-inf")
        self._retention = Retention()
        self._resumption = Resumption({})
        self._continued: set[str] | None = set()
        """Rows of the owner before that are wanted still; None once that is settled."""

    @property
    def size_bytes(self) -> int:
        """The size of the finals that the bus has not confirmed."""
        return self._outgoing.size_bytes + self.sent_bytes

    @property
    def sent_bytes(self) -> int:
        """The size of the finals on their way."""
        return 0 if self._parcel is None else self._parcel.taken.size_bytes

    @property
    def has_live(self) -> bool:
        """Whether a live value waits."""
        return self._outgoing.has_live

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is on its way."""
        outgoing = self._outgoing
        return self._parcel is None and not (outgoing.queued or outgoing.has_live or self._unsaid())

    @property
    def owned(self) -> bool:
        """Whether the topic is this engine's, as far as it knows."""
        return self.tenure.owned

    # what there is to publish

    def continues(self, channel: str) -> bool:
        """Whether the owner before has computed `channel`, and it is not settled yet what goes on."""
        return self._continued is not None and channel in self._since

    def start(self, channel: str, boundary: str) -> None:
        """`channel`, whose bars close at `boundary`, is computed from now on; without a break if it was before."""
        if self._continued is None or channel not in self._since:
            self._outgoing.start(channel)
            return
        self._continued.add(channel)
        if self._resumption.resumes(boundary):
            self._resumption.go_on(channel, boundary)
        else:  # It is not known what is missing.
            self.tenure.renew("missed")

    def settle(self) -> None:
        """Everything that is wanted was started: the other channels of the owner before are dropped."""
        if self._continued is not None:
            for channel in self._since:
                if channel not in self._continued:
                    self._outgoing.drop(channel)
            self._continued = None

    def drop(self, channel: str) -> None:
        """`channel` is computed no more."""
        self._resumption.drop(channel)
        self._outgoing.drop(channel)

    def close(self, closing: Closing, finals: tuple[Publication, ...]) -> None:
        """A boundary, with the finals of the topic; without effect if the owner before has published it."""
        missed = self._resumption.reach(closing)
        if missed is None:
            return
        if missed.too_many:
            self.tenure.renew("missed")
        else:
            for gaps in tell(missed, closing):
                self._outgoing.close(gaps)
        if finals:
            self._outgoing.close(Finals.of(closing.boundary, closing.open_ms, finals))

    def correct(self, boundary: str, told: tuple[Correction, ...]) -> None:
        """Bars of `boundary` are told anew; without effect before it has come to where the owner before was."""
        if not self._resumption.resumes(boundary):
            self._outgoing.correct(Corrections.of(told))

    def resumes(self, boundary: str) -> bool:
        """Whether `boundary` has not come yet to where the owner before has left it."""
        return self._resumption.resumes(boundary)

    def offer(self, live: Iterable[Publication], boundary: str, open_ms: int) -> None:
        """Live values. `open_ms`: the bar of its timeframe with which this engine began.

        Until the bars that the owner before has published are passed there are none: clients do not go back.
        """
        if not self._resumption.is_past(boundary, open_ms):
            self._outgoing.offer(live)

    def overflow(self) -> None:
        """All finals go, and with them the epoch."""
        self._unpack()
        self._outgoing.void()
        self.tenure.renew("overflow")

    # owning the topic

    def claim(self) -> Claim:
        """What to ask to own the topic."""
        return self.tenure.claim()

    def found(self, acquired: Acquired, now_s: float) -> str | None:
        """The claim's answer. Why the epoch is another one, if it is; the topic may have to be claimed once more."""
        self._answered()
        claimed, reason = self.tenure.find(acquired.ownership)
        match claimed:
            case Claimed.FIRST:
                self._since, self._closed = dict(acquired.since), dict(acquired.closed)
                self._resumption = Resumption(acquired.closed)
                self._retention.note(now_s, Offset(acquired.ownership.next_offset - 1), 0)
            case Claimed.SAME | Claimed.ANEW:
                self._reopen(acquired, anew=claimed is Claimed.ANEW)
        return reason

    # publishing

    def batch(self, now_s: float, limit_bytes: int, *, flush: bool, drain: bool = False) -> Batch | None:
        """What is to be sent now: finals up to about `limit_bytes`, or what is sent again whatever its size.

        Live values are due with `flush`, everything is with `drain`.
        """
        stands, outgoing = self.tenure.stands, self._outgoing
        if not self.owned or stands is None or now_s < self.retry_s:
            return None
        if self._parcel is not None:
            return self._parcel.batch if limit_bytes > 0 else None
        due = (limit_bytes > 0 and outgoing.queued) or (flush and outgoing.has_live)
        if not (due or (drain and not self.idle) or now_s - self._sent_s >= HEARTBEAT_S):
            return None
        self._sent_s = now_s
        taken = outgoing.take(limit_bytes)
        batch = pack(stands, taken.items, taken.live, self._since)
        closed = {**(self._closed if self._retell else {}), **batch.closed}
        if not outgoing.queued:
            closed.update(self._unsaid())
        batch = msgspec.structs.replace(batch, closed=closed, forget=self._retention.forget(now_s))
        self._parcel = _Parcel(batch, taken)
        return batch

    def answered(self, stands: Ownership, now_s: float) -> bool:
        """Where the topic stands after the batch was sent; True when it is in. If it is not, `owned` says what to do.

        Without effect when what was sent has been given up meanwhile.
        """
        parcel = self._parcel
        if parcel is None:
            return False
        if stands == parcel.batch.after:
            self._parcel = None
            self._confirm(parcel, now_s)
            self._answered()
            return True
        if stands != parcel.batch.expected:
            self.tenure.lose(stands)
        return False

    def unanswered(self, now_s: float, chance: float) -> None:
        """No answer came; `chance` as in `delay_s`."""
        self.failures += 1
        self.retry_s = now_s + delay_s(self.failures, chance)

    # inside

    def _answered(self) -> None:
        self.failures = 0
        self.retry_s = float("-inf")

    def _reopen(self, acquired: Acquired, *, anew: bool) -> None:
        """What was on its way goes first again, behind the rows that are missing, or all of them if `anew`."""
        self._unpack()
        strange = [Drop(channel) for channel in acquired.since if channel not in self._since]
        missing = [Start(channel) for channel in self._since if anew or channel not in acquired.since]
        self._outgoing.put_first([*strange, *missing])
        self._retell = self._retell or anew

    def _unpack(self) -> None:
        if self._parcel is not None:
            self._outgoing.put_back(self._parcel.taken)
            self._parcel = None

    def _unsaid(self) -> dict[str, int]:
        """Boundaries that are handed out, which the bus does not hold as closed."""
        closed, resumes = self._closed, self._resumption.resumes
        passed = self._passed.items()
        return {name: open_ms for name, open_ms in passed if open_ms > closed.get(name, -1) and not resumes(name)}

    def _confirm(self, parcel: _Parcel, now_s: float) -> None:
        batch = parcel.batch
        self.tenure.stands = batch.after
        self._since.update({channel: row.since for channel, row in batch.rows.items()})
        for channel in batch.dropped:
            self._since.pop(channel, None)
        self._closed.update(batch.closed)
        self._retell = False
        if parcel.taken.size_bytes:
            self._retention.note(now_s, Offset(batch.after.next_offset - 1), parcel.taken.size_bytes)
