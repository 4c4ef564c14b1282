import re

import pytest

from wire import channel as channels
from wire.topics import Keys, topic_of


def test_all_channels_of_an_instrument_are_of_one_topic_and_a_venues_of_the_venues() -> None:
    names = ("trades:DEMO:S01", "bars:DEMO:S01@1m", "signals:DEMO:S01@5m:rsi(14)")
    assert len({topic_of(channels.parse(name)) for name in names}) == 1
    assert topic_of(channels.parse("bars:DEMO:S01@1m")) == 47
    assert {topic_of(channels.parse(f"bars:DEMO:S{n}@1m"), 4) for n in range(100)} == {0, 1, 2, 3}


def test_names_are_those_of_the_contract() -> None:
    keys = Keys()
    of_topic = [keys.live, keys.finals, keys.final, keys.meta, keys.lease, keys.demand, keys.wanted, keys.ask]
    assert [name(7) for name in of_topic] == [
        "sig:{7}:live",
        "sig:{7}:finals",
        "sig:{7}:final",
        "sig:{7}:meta",
        "sig:{7}:lease",
        "sig:{7}:demand",
        "sig:{7}:wanted",
        "sig:{7}:ask",
    ]
    assert keys.reply(7, "g1") == "sig:{7}:reply:g1"
    assert (keys.venues, keys.instruments("DEMO")) == ("sig:venues", "sig:instruments:DEMO")


def test_all_names_of_a_topic_hash_to_the_topic_whatever_the_prefix() -> None:
    keys = Keys("prod:signals:")
    for name in (keys.live(7), keys.meta(7), keys.reply(7, "{8}")):
        hashed = re.search(r"\{(.+?)\}", name)  # what a cluster hashes: what the first braces hold
        assert hashed is not None
        assert hashed[1] == "7"


@pytest.mark.parametrize("prefix", ["{", "}", "a{b}:"])
def test_a_prefix_may_not_have_braces_of_its_own(prefix: str) -> None:
    with pytest.raises(ValueError, match="without braces"):
        Keys(prefix)
