"""What is watched for one thing, in order, and what of it is news."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.watchlist import Watchlist

NAN = float("nan")


def of(*slots: int, values: int = 1) -> Watchlist:
    watchlist = Watchlist(values)
    for slot in slots:
        watchlist.add(slot, f"c{slot}")
    return watchlist


def news(watchlist: Watchlist, open_ms: int, *values: float, places: list[int] | None = None) -> list[bool]:
    at = np.arange(len(watchlist)) if places is None else np.array(places)
    told: list[bool] = watchlist.news(at, open_ms, [np.array(values)]).tolist()
    return told


def test_what_was_never_said_is_news_even_without_a_value() -> None:
    watchlist = of(3, 1)
    assert news(watchlist, 0, NAN, 2.0) == [True, True]
    assert news(watchlist, 0, NAN, 2.0) == [False, False]
    assert news(watchlist, 0, 1.0, 2.0) == [True, False]


def test_the_same_value_in_another_bar_is_news() -> None:
    watchlist = of(3)
    assert news(watchlist, 0, 1.0) == [True]
    assert news(watchlist, 1000, 1.0) == [True]


def test_any_of_several_values_is_news() -> None:
    watchlist = of(3, values=2)
    assert watchlist.news(np.array([0]), 0, [np.array([1.0]), np.array([2.0])]).tolist() == [True]
    assert watchlist.news(np.array([0]), 0, [np.array([1.0]), np.array([NAN])]).tolist() == [True]
    assert watchlist.news(np.array([0]), 0, [np.array([1.0]), np.array([NAN])]).tolist() == [False]


def test_the_places_of_a_venues_slots_are_in_the_order_they_came() -> None:
    watchlist = of(4, 0, 2)
    mask = np.array([True, True, True, True, False])
    assert watchlist.slots[watchlist.within(mask)].tolist() == [0, 2]
    assert (watchlist.place(2), watchlist.place(1)) == (2, None)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5))))
def test_it_is_what_a_list_of_names_would_be(steps: list[tuple[bool, int]]) -> None:
    watchlist = Watchlist(1)
    names: list[str] = []
    said: dict[str, float] = {}
    for number, (adds, slot) in enumerate(steps):
        name = f"c{slot}"
        if not adds:
            watchlist.remove(slot)
            names = [each for each in names if each != name]
            said.pop(name, None)
        elif name not in names:
            watchlist.add(slot, name)
            names.append(name)
        assert watchlist.channels == names
        assert [f"c{each}" for each in watchlist.slots] == names
        values = [float((number + place) % 3) for place in range(len(names))]
        assert news(watchlist, 0, *values) == [said.get(name) != v for name, v in zip(names, values, strict=True)]
        said.update(zip(names, values, strict=True))
