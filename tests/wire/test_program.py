import pytest

from wire.expression import ExpressionError, parse
from wire.program import NEVER, Operation
from wire.program_builder import build_program


def _kernels(text: str) -> list[str]:
    return sorted(operation.kernel for operation in build_program(parse(text)).operations)


def test_equal_operations_are_one() -> None:
    assert _kernels("ema(9) + ema(close, 9)") == ["add", "close", "smooth"]
    assert _kernels("bbands.upper - sma(20)").count("sum") == 1


def test_inputs_come_before_what_uses_them() -> None:
    for text in ("rsi(rsi)", "macd", "cross(bbands.upper, close) and not (rsi > 70)[2]"):
        for place, operation in enumerate(build_program(parse(text)).operations):
            assert all(source < place for source in operation.inputs)


def test_an_output_needs_only_its_own_operations() -> None:
    assert len([k for k in _kernels("macd.macd") if k == "smooth"]) == 2
    assert len([k for k in _kernels("macd.hist") if k == "smooth"]) == 3


def test_an_indicator_with_several_outputs_gives_one_result_for_each() -> None:
    program = build_program(parse("macd"))
    assert program.outputs == ("macd", "signal", "hist")
    assert [program.operations[place].ready for place in program.results] == [26, 34, 34]


def test_numbers_are_worked_out_before_anything_runs() -> None:
    program = build_program(parse("close * (2 + 3 / 2)"))
    assert [o.parameters for o in program.operations if o.kernel == "number"] == [(3.5,)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7.0),
        ("1 / 0", 0.0),
        ("-(2 - 2)", 0.0),
        ("1 > 2", 0.0),
        ("2 > 1 and not 1 > 2", 1.0),
        ("abs(-3)", 3.0),
        ("min(1, 2)", 1.0),
    ],
)
def test_an_expression_of_numbers_is_a_constant_wherever_there_is_a_price(text: str, value: float) -> None:
    assert build_program(parse(text)).operations == (
        Operation("close", (), (), 1, 1),
        Operation("constant", (0,), (value,), 1, 1),
    )


@pytest.mark.parametrize("text", ["sma(1)", "ema(1)", "rma(1)", "highest(close, 1)", "lowest(close, 1)"])
def test_a_window_of_one_bar_is_the_series_itself(text: str) -> None:
    program = build_program(parse(text))
    assert {o.kernel for o in program.operations} <= {"close", "number", "divide"}


def test_the_variance_of_one_bar_is_0() -> None:
    assert _kernels("variance(1)") == ["close", "subtract"]


def test_a_constant_series_is_a_series() -> None:
    assert "constant" in _kernels("rsi(1 + 2)")
    assert "constant" in _kernels("(1 > 2)[3]")


def test_a_constant_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ExpressionError, match="a constant out of the range of numbers"):
        parse("1e308 * 10 > close")


def test_nested_indicators_grow_with_their_depth_not_with_their_text() -> None:
    text = "close"
    for _ in range(12):
        text = f"rsi({text}, 2)"
    assert len(build_program(parse(text)).operations) < 12 * 15


def test_a_length_that_a_definition_divides_is_cut_down_to_whole_bars() -> None:
    weighted = [o.parameters[0] for o in build_program(parse("hma(9)")).operations if o.kernel == "weighted"]
    assert sorted(weighted) == [3.0, 4.0, 9.0]


def test_an_operation_with_several_rows_is_one_whichever_of_them_are_read() -> None:
    both = build_program(parse("supertrend"))
    assert [o.outputs for o in both.operations if o.kernel == "supertrend"] == [4]
    assert [both.operations[place].parameters for place in both.results] == [(0.0,), (1.0,)]
    assert _kernels("supertrend.line").count("output") == 1
    assert _kernels("supertrend.line - supertrend.direction").count("supertrend") == 1


def test_a_window_needs_more_bars_of_its_series_but_not_of_its_centre() -> None:
    program = build_program(parse("cci(close, 20)"))
    assert [o.ready for o in program.operations if o.kernel == "deviation"] == [20]


def test_x_of_0_bars_ago_is_x() -> None:
    assert _kernels("ichimoku(9, 26, 52, 1).span_b") == sorted(
        ["high", "highest", "low", "lowest", "add", "number", "divide"]
    )


def test_a_sum_over_all_of_history_never_counts_as_settled() -> None:
    assert build_program(parse("ad")).settled > NEVER
    assert build_program(parse("adosc")).settled < 1_000
