"""The table of TA-Lib's functions against what TA-Lib tells of itself."""

from typing import Any

import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st
from talib import abstract

from wire.catalogue import FUNCTIONS, INDICATORS, MAX_WINDOW, MIXED_SERIES, PRICES, Indicator, Parameter, indicator
from wire.expression import Call, ExpressionError, Series, canonical, parse
from wire.program import NEVER
from wire.program_builder import build_program
from wire.talib_functions import LEFT_OUT, TALIB_FUNCTIONS

by_name = pytest.mark.parametrize("entry", TALIB_FUNCTIONS, ids=lambda entry: entry.name)

FIXED = {"KDJ": {"slowk_matype", "slowd_matype"}}
"""Parameters that stay TA-Lib's own."""


def told(entry: Indicator) -> Any:  # TA-Lib's own description has no type
    """The function as TA-Lib describes it."""
    return abstract.Function(entry.function)  # type: ignore[attr-defined]


def test_core_table_and_what_is_left_out_are_all_of_talibs_functions() -> None:
    functions = set(talib.get_functions())  # type: ignore[no-untyped-call]
    core = {entry.name.upper() for entry in INDICATORS} & functions
    table = {entry.function for entry in TALIB_FUNCTIONS}
    assert core | table | set(LEFT_OUT) == functions
    assert len(core) + len(table) + len(LEFT_OUT) == len(functions)
    assert len(table) == len(TALIB_FUNCTIONS)


def test_no_name_means_two_things() -> None:
    others = {*PRICES, *(entry.name for entry in (*MIXED_SERIES, *FUNCTIONS, *INDICATORS))}
    assert not others & {entry.name for entry in TALIB_FUNCTIONS}
    assert all(reason for reason in LEFT_OUT.values())


@by_name
def test_an_entry_is_found_by_talibs_name_in_lower_case(entry: Indicator) -> None:
    assert entry.name == entry.function.lower()
    assert indicator(entry.name) is entry
    assert entry.title
    assert entry.source
    assert entry.group == told(entry).info["group"]


@by_name
def test_it_reads_what_talib_reads_by_default(entry: Indicator) -> None:
    inputs: list[str] = []
    for names in told(entry).input_names.values():
        inputs += [names] if isinstance(names, str) else names
    assert [entry.series if name == "x" else name for name in entry.inputs] == inputs
    assert (entry.series is None) is ("x" not in entry.inputs)


@by_name
def test_it_has_talibs_outputs(entry: Indicator) -> None:
    count = len(told(entry).output_names)
    assert len(entry.output_names) == (count if count > 1 else 0)
    assert len(set(entry.output_names)) == len(entry.output_names)


@by_name
def test_its_parameters_are_talibs_with_their_defaults_and_in_their_order(entry: Indicator) -> None:
    defaults = {
        name: value for name, value in told(entry).parameters.items() if name not in FIXED.get(entry.function, set())
    }
    assert [parameter.default for parameter in entry.parameters] == list(defaults.values())
    assert [parameter.whole for parameter in entry.parameters] == [isinstance(v, int) for v in defaults.values()]
    assert len({parameter.name for parameter in entry.parameters}) == len(entry.parameters)
    for parameter in entry.parameters:
        assert parameter.low <= parameter.default <= parameter.high
        assert parameter.high <= MAX_WINDOW or not parameter.whole
        assert parameter.name.isidentifier()
        assert parameter.name not in ("x", *PRICES)


@by_name
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_its_lookback_is_talibs_for_all_parameters_in_range(entry: Indicator, data: st.DataObject) -> None:
    chosen = tuple(data.draw(_values(parameter), label=parameter.name) for parameter in entry.parameters)
    assert build_program(_call(entry, chosen)).warm_up_bars == _lookback(entry, chosen)


@by_name
def test_its_lookback_is_talibs_for_the_defaults_and_at_the_ends_of_the_range(entry: Indicator) -> None:
    for choice in ("default", "low", "high"):
        chosen = tuple(float(getattr(parameter, choice)) for parameter in entry.parameters)
        program = build_program(_call(entry, chosen))
        assert program.warm_up_bars == _lookback(entry, chosen)
        assert program.warm_up_bars <= program.unstable_bars


@by_name
def test_what_talib_calls_unstable_or_path_dependent_settles_late_or_never(entry: Indicator) -> None:
    flags = told(entry).function_flags
    unstable = build_program(_call(entry)).unstable_bars - _lookback(entry, _defaults(entry))
    if "Function has an unstable period" in flags:
        assert unstable >= 64
    if "Output is path-dependent" in flags:
        assert unstable >= 500
    if unstable >= NEVER:
        assert "Output is path-dependent" in flags


@by_name
def test_its_text_reads_back(entry: Indicator) -> None:
    call = _call(entry)
    assert parse(entry.name.upper()) == call
    assert parse(canonical(call)) == call


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("t3", "t3(close,5,0.7)"),
        ("t3(rsi(14), 8)", "t3(rsi(close,14),8,0.7)"),
        ("macdext(signal=5).hist", "macdext(close,12,0,26,0,5,0).hist"),
        ("cdldoji > 0", "cdldoji>0"),
        ("correl(20)", "correl(20)"),
        ("ma(hl2, 10, 3)", "ma(hl2,10,3)"),
        ("kdj.j", "kdj(9,3,3).j"),
        ("ha.close", "ha.close"),
    ],
)
def test_expressions_use_them_as_any_other(text: str, spelling: str) -> None:
    assert canonical(parse(text)) == spelling


@pytest.mark.parametrize("text", ["cdldoji(close)", "kdj + 1", "t3(0)", "ma(close, 10, 9)", "mavp", "correl(close, 5)"])
def test_what_they_do_not_take_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


def _call(entry: Indicator, chosen: tuple[float, ...] | None = None) -> Call:
    series = None if entry.series is None else Series(entry.series)
    return Call(entry.name, series, _defaults(entry) if chosen is None else chosen)


def _defaults(entry: Indicator) -> tuple[float, ...]:
    return tuple(float(parameter.default) for parameter in entry.parameters)


def _values(parameter: Parameter) -> st.SearchStrategy[float]:
    if not parameter.whole:
        return st.floats(parameter.low, parameter.high)
    lowest, highest = int(parameter.low), int(parameter.high)
    return st.one_of(st.integers(lowest, min(highest, lowest + 12)), st.integers(lowest, highest)).map(float)


def _lookback(entry: Indicator, chosen: tuple[float, ...]) -> int:
    function = told(entry)
    given = iter(chosen)
    function.parameters = {
        name: default if name in FIXED.get(entry.function, set()) else type(default)(next(given))
        for name, default in function.parameters.items()
    }
    return int(function.lookback)
