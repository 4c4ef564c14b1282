"""Verdict: what one client heard of a channel's finals, judged by what was published. Pure; no I/O."""

from collections.abc import Iterable, Sequence

from msgspec import Struct


class Verdict(Struct, frozen=True):
    """Finals, by what became of them. `strange` were never published."""

    heard: int = 0
    lost: int = 0
    repeated: int = 0
    disordered: int = 0
    strange: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether each came once, in order."""
        return not (self.lost or self.repeated or self.disordered or self.strange)


def judge(heard: Sequence[int], published: Sequence[int]) -> Verdict:
    """Bars by their open times: those that were `heard`, in the order in which they came, of those `published`."""
    seen: set[int] = set()
    expected = set(published)
    newest = None
    repeated = disordered = 0
    for bar_ms in heard:
        if bar_ms in seen:
            repeated += 1
        elif newest is not None and bar_ms < newest:
            disordered += 1
        seen.add(bar_ms)
        newest = bar_ms if newest is None else max(newest, bar_ms)
    return Verdict(len(heard), len(expected - seen), repeated, disordered, len(seen - expected))


def total(verdicts: Iterable[Verdict]) -> Verdict:
    """Of all together."""
    whole = Verdict()
    for each in verdicts:
        whole = Verdict(*(getattr(whole, name) + getattr(each, name) for name in Verdict.__struct_fields__))
    return whole
