"""What the user service said of tokens, while it holds: till its time is over or who it is about is revoked. Pure."""

from typing import Final

from gateway.introspection import INACTIVE, LONGEST_S, REFUSAL_S, Answer, ExpiringCache, Introspection
from gateway.revocations import Revocations

_NS_PER_S: Final = 1_000_000_000


class Answers:
    """Answers by the digest of their token, at most `capacity` that let somebody in and as many refusals.

    `wall_ns` is the time of a wall clock, `now_ns` of a monotonic one.
    """

    def __init__(self, capacity: int) -> None:
        self.revocations = Revocations()
        self._active: ExpiringCache[Answer] = ExpiringCache(capacity)
        self._refusals: ExpiringCache[Answer] = ExpiringCache(capacity)

    def recall(self, digest: bytes, wall_ns: int, now_ns: int) -> Answer | None:
        """Give what is believed of a token; None when nothing is."""
        answer = self._active.get(digest, now_ns)
        if answer is None:
            return self._refusals.get(digest, now_ns)
        if not self.stands(digest, answer):
            self._active.drop(digest)
            return None
        return self.refusal(now_ns) if answer.who.expired(wall_ns) else answer

    def remember(self, digest: bytes, who: Introspection, asked: int, wall_ns: int, now_ns: int) -> Answer:
        """Keep what was said of a token; `asked` is how many revocations there were when it was asked for."""
        if not who.active or who.expired(wall_ns):
            answer = self.refusal(now_ns)
            self._active.drop(digest)
            self._refusals.put(digest, answer, answer.until_ns)
            return answer
        holds_ns = round(LONGEST_S * _NS_PER_S)
        if who.exp is not None:
            holds_ns = min(holds_ns, who.exp * _NS_PER_S - wall_ns)
        answer = Answer(who, now_ns + holds_ns, asked)
        self._active.put(digest, answer, answer.until_ns)
        return answer

    def stands(self, digest: bytes, answer: Answer) -> bool:
        """Whether an answer counts: not if it lets somebody in who was revoked since it was asked for."""
        return not answer.who.active or not self.revocations.void(answer.asked, answer.who.sub, digest)

    @staticmethod
    def refusal(now_ns: int) -> Answer:
        """Give the answer that lets nobody in."""
        return Answer(INACTIVE, now_ns + round(REFUSAL_S * _NS_PER_S))
