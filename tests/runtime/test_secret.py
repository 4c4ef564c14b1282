"""A secret shows itself only to who asks for it by name."""

import copy
import pickle

import pytest

from runtime.secret import Secret


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{:>20}".format, "%s".__mod__, "%r".__mod__])
def test_no_way_of_writing_it_shows_it(show: object) -> None:
    assert callable(show)
    assert "hunter2" not in show(Secret("hunter2"))


def test_it_gives_itself_when_asked() -> None:
    assert Secret("hunter2").reveal() == "hunter2"


def test_it_is_compared_by_what_it_holds() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("ü").matches("ü")
    assert not Secret("a").matches("\udcff")


def test_an_empty_one_is_false() -> None:
    assert not Secret("")
    assert Secret("a")


@pytest.mark.parametrize("escape", [pickle.dumps, copy.copy])
def test_it_is_not_written_into_other_forms(escape: object) -> None:
    assert callable(escape)
    with pytest.raises(TypeError, match="not pickled"):
        escape(Secret("a"))
