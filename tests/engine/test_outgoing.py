"""What waits: in order, up to a size; live values are the newest, and never behind a final of their channel."""

from engine.outgoing import Outgoing, Taken
from engine.packing import OVERHEAD_BYTES, Correction, Corrections, Drop, Finals, Start
from wire.envelope import Publication


def finals(second: int, *channels: str) -> Finals:
    return Finals.of("DEMO@1s", second * 1000, tuple(Publication(channel, b"%d" % second) for channel in channels))


def live(channel: str, payload: bytes = b"live") -> Publication:
    return Publication(channel, payload)


SIZE = len("a") + len(b"1") + OVERHEAD_BYTES


def test_what_waits_is_taken_in_its_order() -> None:
    outgoing = Outgoing()
    outgoing.start("a")
    outgoing.close(finals(1, "a"))
    outgoing.drop("a")
    outgoing.offer([live("b")])
    assert outgoing.size_bytes == SIZE
    assert outgoing.take(1000) == Taken((Start("a"), finals(1, "a"), Drop("a")), (live("b"),), SIZE)
    assert (outgoing.queued, outgoing.has_live, outgoing.size_bytes) == (False, False, 0)


def test_finals_are_taken_up_to_a_size_and_live_values_wait_for_them() -> None:
    outgoing = Outgoing()
    for second in (1, 2, 3):
        outgoing.close(finals(second, "a"))
    outgoing.offer([live("b")])
    assert outgoing.take(SIZE + 1) == Taken((finals(1, "a"), finals(2, "a")), (), 2 * SIZE)
    assert outgoing.take(1) == Taken((finals(3, "a"),), (live("b"),), SIZE)


def test_without_room_no_finals_are_taken() -> None:
    outgoing = Outgoing()
    outgoing.close(finals(1, "a"))
    outgoing.offer([live("b")])
    assert outgoing.take(0) == Taken((), (), 0)


def test_a_final_and_a_drop_make_live_values_obsolete() -> None:
    outgoing = Outgoing()
    for channel in ("a", "b", "c"):
        outgoing.offer([live(channel)])
    outgoing.close(finals(1, "a"))
    outgoing.drop("b")
    assert outgoing.take(1000).live == (live("c"),)


def test_corrections_wait_with_the_finals_and_leave_live_values_alone() -> None:
    outgoing = Outgoing()
    corrections = Corrections.of((Correction(live("a", b"1"), b"2"),))
    outgoing.offer([live("a")])
    outgoing.close(finals(2, "b"))
    outgoing.correct(corrections)
    assert outgoing.size_bytes == 2 * SIZE
    assert outgoing.take(1000) == Taken((finals(2, "b"), corrections), (live("a"),), 2 * SIZE)
    outgoing.correct(corrections)
    outgoing.void()
    assert (outgoing.queued, outgoing.size_bytes) == (False, 0)


def test_what_is_put_back_waits_first() -> None:
    outgoing = Outgoing()
    outgoing.close(finals(1, "a"))
    taken = outgoing.take(1000)
    outgoing.close(finals(2, "a"))
    outgoing.put_back(taken)
    outgoing.put_first([Drop("x"), Start("y")])
    assert outgoing.size_bytes == 2 * SIZE
    assert outgoing.take(1000).items == (Drop("x"), Start("y"), finals(1, "a"), finals(2, "a"))


def test_live_values_that_are_put_back_give_way_to_what_is_newer() -> None:
    outgoing = Outgoing()
    for channel in ("a", "b", "c", "d"):
        outgoing.offer([live(channel, b"old")])
    taken = outgoing.take(1000)
    outgoing.offer([live("a", b"new")])
    outgoing.close(finals(1, "b"))
    outgoing.drop("c")
    outgoing.put_back(taken)
    assert set(outgoing.take(1000).live) == {live("a", b"new"), live("d", b"old")}


def test_all_finals_can_be_given_up() -> None:
    outgoing = Outgoing()
    outgoing.start("a")
    outgoing.close(finals(1, "a"))
    outgoing.drop("b")
    outgoing.offer([live("a")])
    outgoing.void()
    assert outgoing.size_bytes == 0
    assert outgoing.take(1000) == Taken((Start("a"), Drop("b")), (live("a"),), 0)
