import pytest

from wire import catalogue
from wire.catalogue import FUNCTIONS, INDICATORS, MAX_WINDOW, MIXED_SERIES, PRICES, Indicator
from wire.expression import Call, Series, outputs, parse
from wire.program import ELEMENTWISE, NEVER, RECURSIONS, SERIES, WINDOWS
from wire.program_builder import build_program

by_name = pytest.mark.parametrize("indicator", INDICATORS, ids=lambda entry: entry.name)


def test_every_name_means_one_thing_and_is_a_lower_case_word() -> None:
    names = [*PRICES, *(entry.name for entry in (*MIXED_SERIES, *FUNCTIONS, *INDICATORS))]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name == name.lower() for name in names)
    assert not {"and", "or", "not", "x", "a", "b"} & set(names)


def test_the_core_set_is_there() -> None:
    assert {entry.name for entry in INDICATORS} == {
        "sma", "ema", "wma", "rma", "dema", "tema", "hma", "kama", "vwma",
        "rsi", "macd", "ppo", "stoch", "stochrsi", "willr", "cci", "cmo", "mfi", "mom", "roc", "trix", "tsi", "ultosc",
        "atr", "natr", "tr", "bbands", "keltner", "donchian", "stddev", "variance",
        "adx", "plus_di", "minus_di", "aroon", "sar", "supertrend", "linreg", "ichimoku",
        "obv", "ad", "adosc", "cmf", "vwap",
        "zscore", "highest", "lowest", "change", "pivots",
    }  # fmt: skip
    assert catalogue.function("barssince") is not None


@by_name
def test_an_entry_has_one_definition_or_several_outputs_and_names_that_do_not_hide_each_other(
    indicator: Indicator,
) -> None:
    assert bool(indicator.definition) is not bool(indicator.outputs)
    assert len(indicator.outputs) != 1
    names = ["x", *(p.name for p in indicator.parameters), *(formula.name for formula in indicator.where)]
    assert len(set(names)) == len(names)
    assert indicator.title
    assert indicator.source


@by_name
def test_defaults_and_bounds_of_parameters_are_in_order(indicator: Indicator) -> None:
    for parameter in indicator.parameters:
        assert parameter.low <= parameter.default <= parameter.high
        if parameter.whole:
            assert parameter.low >= 1
            assert parameter.high <= MAX_WINDOW
            assert all(float(value).is_integer() for value in (parameter.low, parameter.default, parameter.high))


@by_name
def test_a_definition_holds_over_the_whole_range_of_its_parameters(indicator: Indicator) -> None:
    series = None if indicator.series is None else Series(indicator.series)
    for choice in ("low", "default", "high"):
        program = build_program(Call(indicator.name, series, tuple(getattr(p, choice) for p in indicator.parameters)))
        assert len(program.results) == max(len(indicator.outputs), 1)
        assert 1 <= program.ready <= program.settled
        for operation in program.operations:
            if operation.kernel in WINDOWS or operation.kernel in ("smooth", "ago"):
                assert operation.parameters[0].is_integer()
                assert operation.parameters[0] >= 1
            else:
                assert operation.kernel in (*SERIES, "number", "constant", "output", *RECURSIONS, *ELEMENTWISE)


@by_name
def test_its_bare_name_is_the_indicator_with_its_defaults(indicator: Indicator) -> None:
    expression = parse(indicator.name.upper())
    assert isinstance(expression, Call)
    assert expression.parameters == tuple(p.default for p in indicator.parameters)
    assert expression.series == (None if indicator.series is None else Series(indicator.series))
    assert outputs(expression) == indicator.output_names


@pytest.mark.parametrize(
    ("text", "warm_up_bars", "unstable_bars"),
    [
        ("close", 0, 0),
        ("hlc3", 0, 0),
        ("sma(20)", 19, 19),
        ("ema(20)", 19, 399),
        ("rma(14)", 13, 629),
        ("rsi(14)", 14, 630),
        ("macd(12, 26, 9)", 33, 698),
        ("macd(12, 26, 9).macd", 25, 519),
        ("bbands(20, 2)", 19, 19),
        ("tr", 1, 1),
        ("atr(14)", 14, 630),
        ("highest(10)", 9, 9),
        ("lowest(1)", 0, 0),
        ("stddev(5)", 4, 4),
        ("change", 1, 1),
        ("mom(10)", 10, 10),
        ("close[3]", 3, 3),
        ("sma(sma(5), 5)[2]", 10, 10),
        ("crossover(ema(9), ema(21))", 21, 420),
        ("ema(1)", 0, 0),
        ("7", 0, 0),
        ("wma(9)", 8, 8),
        ("hma(9)", 10, 10),
        ("kama(10)", 10, 4815),
        ("vwma(20)", 19, 19),
        ("stoch(14, 3, 3)", 17, 17),
        ("stoch(14, 3, 3).k", 15, 15),
        ("cci(20)", 19, 19),
        ("cci(ema(close, 5), 20)", 23, 118),
        ("adx(14)", 27, 1259),
        ("aroon(14)", 14, 14),
        ("sar", 1, 501),
        ("ichimoku", 76, 76),
        ("ichimoku(9, 26, 52, 1).span_b", 51, 51),
        ("ad", 0, NEVER),
        ("adosc(3, 10)", 9, 199),
        ("vwap", 0, 0),
        ("barssince(sma(5) > close)", 4, 4),
    ],
)
def test_warm_up_adds_up_along_the_definition(text: str, warm_up_bars: int, unstable_bars: int) -> None:
    program = build_program(parse(text))
    assert (program.warm_up_bars, program.unstable_bars) == (warm_up_bars, unstable_bars)


def test_names_are_looked_up_in_lower_case_only() -> None:
    assert catalogue.indicator("rsi") is not None
    assert catalogue.indicator("RSI") is None
    assert catalogue.function("max") is not None
    assert catalogue.is_series("hl2")
    assert not catalogue.is_series("rsi")
