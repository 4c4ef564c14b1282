"""What is told of the catalogue."""

import msgspec
import pytest

from wire import catalogue
from wire.catalogue import FUNCTIONS, INDICATORS, MIXED_SERIES, PRICES
from wire.expression import parse
from wire.indicator_listing import (
    CORE,
    IndicatorEntry,
    function_listing,
    indicator_listing,
    series_listing,
)
from wire.program import NEVER
from wire.program_builder import build_program
from wire.talib_functions import TALIB_FUNCTIONS

FRAME_BYTES = 192 * 1024


@pytest.fixture(scope="module")
def entries() -> dict[str, IndicatorEntry]:
    return {entry.name.partition("(")[0]: entry for entry in indicator_listing()}


def test_every_indicator_is_told_core_ones_first(entries: dict[str, IndicatorEntry]) -> None:
    assert list(entries) == [entry.name for entry in (*INDICATORS, *TALIB_FUNCTIONS)]
    assert len(indicator_listing()) == len(entries)
    assert [entry.group == CORE for entry in entries.values()] == sorted(
        (entry.group == CORE for entry in entries.values()), reverse=True
    )


def test_every_series_and_function_is_told() -> None:
    assert [entry.name for entry in series_listing()] == [*PRICES, *(each.name for each in MIXED_SERIES)]
    assert [entry.name.partition("(")[0] for entry in function_listing()] == [each.name for each in FUNCTIONS]
    assert "crossover(a,b)" in [entry.name for entry in function_listing()]
    assert all(entry.title for entry in (*series_listing(), *function_listing()))


def test_a_name_is_the_canonical_text_with_all_defaults(entries: dict[str, IndicatorEntry]) -> None:
    assert entries["macd"].name == "macd(close,12,26,9)"
    assert entries["highest"].name == "highest(high,20)"
    assert entries["tr"].name == "tr"
    assert entries["kc"].name == "kc(20,10,2)"
    for name, entry in entries.items():
        assert parse(entry.name) == parse(name)


def test_the_bars_are_those_of_the_program(entries: dict[str, IndicatorEntry]) -> None:
    for entry in entries.values():
        program = build_program(parse(entry.name))
        assert (entry.warm_up_bars, entry.unstable_bars) == (program.warm_up_bars, program.unstable_bars)
    assert entries["obv"].unstable_bars >= NEVER
    assert entries["cumsum"].unstable_bars >= NEVER
    assert entries["cdldoji"].unstable_bars == 10


def test_it_is_told_what_an_indicator_reads(entries: dict[str, IndicatorEntry]) -> None:
    assert entries["rsi"].reads == ("close",)
    assert entries["atr"].reads == ("high", "low", "close")
    assert entries["correl"].reads == ("high", "low")
    assert entries["cdldoji"].reads == ("open", "high", "low", "close")
    assert all(entry.reads for entry in entries.values())


def test_all_else_is_the_catalogues(entries: dict[str, IndicatorEntry]) -> None:
    for name, entry in entries.items():
        indicator = catalogue.indicator(name)
        assert indicator is not None
        assert entry.parameters == indicator.parameters
        assert entry.outputs == indicator.output_names
        assert entry.group == (indicator.group or CORE)
        assert (entry.title, entry.source, entry.differences) == (
            indicator.title,
            indicator.source,
            indicator.differences,
        )


def test_the_whole_listing_fits_a_frame() -> None:
    assert len(msgspec.json.encode(indicator_listing())) < FRAME_BYTES / 2
