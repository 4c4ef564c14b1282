"""What is kept from the collector, and what it gets back."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from runtime.heap import THRESHOLDS, Census, Heap, tend
from tests.waiting import until


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Leave nothing frozen behind, and keep the collector from coming by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


class Ring:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.ring = self


def leave_garbage() -> weakref.ref[Ring]:
    return weakref.ref(Ring())


def freezes(heap: Heap, census: Census) -> bool:
    """Whether a look freezes what is new."""
    new: list[list[None]] = [[] for _ in range(1000)]
    before = gc.get_freeze_count()
    heap.look(census)
    return gc.get_freeze_count() - before >= len(new)


def test_the_first_look_collects_and_freezes_all_that_there_is() -> None:
    garbage = leave_garbage()
    assert freezes(Heap(), Census(0, 0))
    assert garbage() is None


def test_what_came_is_frozen_when_it_is_enough() -> None:
    heap = Heap()
    heap.look(Census(1000, 0))
    assert not freezes(heap, Census(1099, 0))
    assert freezes(heap, Census(1200, 0))
    assert not freezes(heap, Census(1200, 0))


def test_it_is_enough_only_beside_what_there_is() -> None:
    heap = Heap()
    heap.look(Census(10_000, 0))
    assert not freezes(heap, Census(10_900, 0))
    assert freezes(heap, Census(11_200, 0))


def test_what_came_is_counted_from_the_fewest_that_there_were() -> None:
    heap = Heap()
    heap.look(Census(1000, 0))
    heap.look(Census(200, 800))
    assert freezes(heap, Census(400, 800))


def test_garbage_that_was_frozen_is_found_when_many_have_gone_and_it_is_calm() -> None:
    heap = Heap()
    heap.look(Census(2000, 0))
    garbage = leave_garbage()
    heap.look(Census(2500, 0))
    gc.collect()
    assert garbage() is not None, "it is frozen"
    heap.look(Census(1500, 1000))
    assert garbage() is not None, "a burst"
    heap.look(Census(1501, 1001))
    assert garbage() is None
    assert gc.get_freeze_count() > 0


def test_garbage_of_few_is_left_where_it_is() -> None:
    heap = Heap()
    heap.look(Census(8000, 0))
    garbage = leave_garbage()
    gc.freeze()
    heap.look(Census(8000, 1999))
    assert garbage() is not None
    heap.look(Census(8000, 2000))
    assert garbage() is None


async def test_a_tended_heap_is_looked_at_from_the_start_and_thawed_at_the_end() -> None:
    before = gc.get_threshold()
    asked: list[None] = []

    def count() -> Census:
        asked.append(None)
        return Census(0, 0)

    task = asyncio.create_task(tend(count))
    await until(lambda: bool(asked))
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == THRESHOLDS
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before
