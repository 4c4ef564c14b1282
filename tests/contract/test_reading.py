"""The contract of the bus: what is read, what is wanted, what is asked."""

import asyncio

import pytest

from tests.contract.pair import BARS, RSI, Ear, Owner, Pair, batch, final
from wire.envelope import Chart, Description, Held, NewestFinal
from wire.position import Epoch, Offset

ROW = NewestFinal(Offset(0), Offset(1), b'{"v":1}')


async def test_a_topic_that_nobody_ever_owned_holds_nothing(pair: Pair) -> None:
    assert await pair.broker.read(3, Offset(0), [RSI]) == Held(Epoch(""), 0, Offset(0), Offset(1), (), {})


async def test_read_gives_the_finals_above_a_position_and_none_without_one(pair: Pair) -> None:
    own = await pair.acquire()
    own = await pair.publish(batch(own, [final(1), final(2, BARS), final(3)]))
    await pair.publish(batch(own, [final(4)]))
    within = await pair.broker.read(3, Offset(1), [RSI])
    assert [(f.offset, f.publication) for f in within.finals] == [(2, final(2, BARS)), (3, final(3)), (4, final(4))]
    assert [f.offset for f in (await pair.broker.read(3, Offset(3), [RSI])).finals] == [4]
    assert (await pair.broker.read(3, Offset(4), [RSI])).finals == ()
    none = await pair.broker.read(3, None, [RSI])
    assert (none.finals, none.top, none.first_held) == ((), 4, 1)


async def test_read_gives_the_newest_final_of_the_channels_asked_for_in_whatever_order(pair: Pair) -> None:
    own = await pair.acquire()
    started = NewestFinal(Offset(1), Offset(0), None)
    await pair.publish(batch(own, [final(1)], rows={RSI: ROW, BARS: started, "other": ROW}))
    held = await pair.broker.read(3, None, ["nobody computes it", BARS, RSI])
    assert held.newest == {RSI: ROW, BARS: started}


async def test_a_row_stays_until_it_is_changed_or_dropped(pair: Pair) -> None:
    own = await pair.publish(batch(await pair.acquire(), [final(1)], rows={RSI: ROW}))
    own = await pair.publish(batch(own, [final(2)], rows={BARS: ROW}))
    assert (await pair.broker.read(3, None, [RSI])).newest == {RSI: ROW}
    changed = NewestFinal(Offset(0), Offset(3), b'{"v":3}')
    own = await pair.publish(batch(own, [final(3)], rows={RSI: changed}))
    assert (await pair.broker.read(3, None, [RSI])).newest == {RSI: changed}
    await pair.publish(batch(own, dropped=(RSI,)))
    assert (await pair.broker.read(3, None, [RSI])).newest == {}


async def test_a_channel_may_have_any_name_and_a_payload_any_bytes(pair: Pair) -> None:
    own = await pair.acquire()
    name, payload = "signals:DEMO:S01@1m:a<b and \u00e4 'x' \"y\"", bytes(range(256)) * 40
    strange = batch(own, [final(1, name)], rows={name: NewestFinal(Offset(0), Offset(1), payload)})
    await pair.publish(strange)
    held = await pair.broker.read(3, Offset(0), [name])
    assert held.newest == {name: NewestFinal(Offset(0), Offset(1), payload)}
    assert held.finals[0].publication == final(1, name)
    assert await pair.bus.demand([3]) == {name}


async def test_reading_makes_channels_wanted_for_30_s_and_tells_their_owner_each_time(pair: Pair, owner: Owner) -> None:
    async with pair.serving(owner):
        await pair.broker.read(3, None, [RSI, BARS])
        await pair.broker.read(3, Offset(0), [RSI])
        await owner.until(lambda: len(owner.rung) == 2)
        assert owner.rung == [(3, (RSI, BARS)), (3, (RSI,))]
    assert await pair.bus.demand([3]) == {RSI, BARS}
    await pair.passes(28)
    assert await pair.bus.demand([3]) == {RSI, BARS}
    await pair.passes(2)
    assert await pair.bus.demand([3]) == frozenset()


async def test_reading_no_channel_tells_nobody(pair: Pair, owner: Owner) -> None:
    async with pair.serving(owner):
        await pair.broker.read(3, Offset(0), [])
        await pair.broker.read(3, Offset(0), [RSI])
        await owner.until(lambda: bool(owner.rung))
        assert owner.rung == [(3, (RSI,))]


async def test_demand_is_that_of_the_topics_asked_for(pair: Pair) -> None:
    for topic, channel in enumerate(("a", "b", "c")):
        await pair.broker.read(topic, None, [channel])
    assert await pair.bus.demand([0, 2]) == {"a", "c"}
    assert await pair.bus.demand([]) == frozenset()


async def test_demand_of_before_there_was_an_owner_is_there_for_it(pair: Pair) -> None:
    await pair.broker.read(3, None, [RSI])
    await pair.acquire()
    assert await pair.bus.demand([3]) == {RSI}


async def test_renewing_keeps_channels_wanted_without_asking_for_their_values(pair: Pair, owner: Owner) -> None:
    async with pair.serving(owner):
        await pair.broker.read(3, None, [RSI])
        await pair.broker.read(2, None, [BARS])
        await owner.until(lambda: len(owner.rung) == 2)
        owner.rung.clear()
        for _ in range(4):
            await pair.passes(20)
            await pair.broker.renew({3: [RSI], 2: [BARS]})
        await pair.broker.read(3, None, ["a mark"])
        await owner.until(lambda: (3, ("a mark",)) in owner.rung)
        assert owner.rung == [(3, ("a mark",))]
    assert await pair.bus.demand([2, 3]) == {RSI, BARS, "a mark"}


async def test_what_is_renewed_stays_wanted_for_15_s_at_least(pair: Pair) -> None:
    await pair.broker.read(3, None, [RSI])
    for _ in range(5):
        await pair.passes(13)
        await pair.broker.renew({3: [RSI]})
        assert await pair.bus.demand([3]) == {RSI}
    await pair.passes(13)
    assert await pair.bus.demand([3]) == {RSI}


async def test_renewing_what_was_not_wanted_tells_the_owner_of_that_alone(pair: Pair, owner: Owner) -> None:
    await pair.broker.read(3, None, [BARS])
    await pair.passes(31)
    await pair.broker.renew({3: ["wanted"]})
    async with pair.serving(owner):
        await pair.broker.renew({3: [RSI, "wanted", BARS], 2: []})
        await owner.until(lambda: (3, (RSI, BARS)) in owner.rung)
    assert await pair.bus.demand([3]) == {RSI, BARS, "wanted"}


async def test_renewing_nothing_is_nothing(pair: Pair) -> None:
    await pair.broker.renew({})


async def test_ten_thousand_channels_are_read_and_renewed_at_once(pair: Pair, owner: Owner) -> None:
    channels = [f"bars:DEMO:S{i}@1m" for i in range(10_000)]
    async with pair.serving(owner):
        await pair.broker.renew({3: channels})
        await pair.broker.read(3, None, channels)
        await owner.until(lambda: len([topic for topic, rung in owner.rung if len(rung) == 10_000]) >= 2)
    assert await pair.bus.demand([3]) == frozenset(channels)


# questions


async def test_the_owner_describes_a_channel(pair: Pair, owner: Owner) -> None:
    async with pair.serving(owner), pair.listening(Ear()):
        assert await pair.broker.describe(3, RSI) == Description(warming=True)
        assert await pair.broker.describe(2, RSI) == Description(warming=False, refused=f"{RSI} on topic 2")


async def test_the_owner_charts_a_channel(pair: Pair, owner: Owner) -> None:
    async with pair.serving(owner), pair.listening(Ear()):
        assert await pair.broker.history(3, RSI, 1000) == owner.chart
        assert await pair.broker.history(3, RSI, 1) == Chart(owner.chart.values[-1:])
        assert (await pair.broker.history(2, RSI, 1)).refused == f"{RSI} on topic 2"


async def test_an_owner_that_fails_refuses_and_lives(pair: Pair, owner: Owner) -> None:
    owner.broken = True
    async with pair.serving(owner), pair.listening(Ear()):
        description = await pair.broker.describe(3, RSI)
        chart = await pair.broker.history(3, RSI, 10)
        owner.broken = False
        assert await pair.broker.describe(3, RSI) == Description(warming=True)
    assert description.refused is not None
    assert not description.warming
    assert chart == Chart((), refused=description.refused)
    assert "order" not in description.refused


@pytest.mark.parametrize("question", ["describe", "history"])
async def test_nobody_answers_where_nobody_serves(pair: Pair, owner: Owner, question: str) -> None:
    async with pair.listening(Ear()):
        async with pair.serving(owner):
            pass
        ask = pair.broker.describe(3, RSI) if question == "describe" else pair.broker.history(3, RSI, 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask, 0.05)


async def test_every_question_gets_its_own_answer_whoever_gives_up_meanwhile(pair: Pair, owner: Owner) -> None:
    async with pair.serving(owner), pair.listening(Ear()):
        asked = [asyncio.create_task(pair.broker.describe(i % 3, f"channel {i}"), name=f"ask {i}") for i in range(200)]
        await asyncio.sleep(0)
        for task in asked[::3]:
            task.cancel()
        answers = await asyncio.gather(*asked, return_exceptions=True)
    given = {i: answer for i, answer in enumerate(answers) if isinstance(answer, Description)}
    assert {i for i in range(200) if i % 3} <= set(given)
    assert all(answer.refused == f"channel {i} on topic {i % 3}" for i, answer in given.items())


# instruments


async def test_instruments_are_known_once_an_engine_has_named_them_and_then_anew(pair: Pair) -> None:
    assert await pair.broker.instruments("DEMO") is None
    assert await pair.broker.venues() == frozenset()
    await pair.bus.announce({"DEMO": ["S01", "S02"], "OTHER": ["X"]})
    assert await pair.broker.instruments("DEMO") == frozenset({"S01", "S02"})
    assert await pair.broker.venues() == {"DEMO", "OTHER"}
    await pair.bus.announce({"DEMO": ["S02", "S03"]})
    assert await pair.broker.instruments("DEMO") == frozenset({"S02", "S03"})
    assert await pair.broker.instruments("OTHER") == frozenset({"X"})


async def test_a_venue_without_symbols_is_as_one_that_nobody_has_named(pair: Pair) -> None:
    await pair.bus.announce({"DEMO": ["S01"], "OTHER": ["X"]})
    await pair.bus.announce({"DEMO": [], "EMPTY": []})
    assert await pair.broker.instruments("DEMO") is None
    assert await pair.broker.instruments("EMPTY") is None
    assert await pair.broker.venues() == {"OTHER"}


async def test_a_venue_may_have_ten_thousand_symbols(pair: Pair) -> None:
    symbols = [f"S{i}" for i in range(10_000)]
    await pair.bus.announce({"DEMO": symbols})
    assert await pair.broker.instruments("DEMO") == frozenset(symbols)
