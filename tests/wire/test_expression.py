import inspect
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.expression_texts import expressions, spellings
from wire.expression import (
    MAX_DEPTH,
    MAX_SIZE,
    MAX_TEXT,
    Ago,
    Binary,
    Call,
    Expression,
    ExpressionError,
    Function,
    Negative,
    Not,
    Number,
    Output,
    Series,
    canonical,
    is_condition,
    outputs,
    parse,
)

CLOSE, OPEN = Series("close"), Series("open")


@pytest.mark.parametrize(
    "text",
    ["rsi", "rsi()", "rsi(14)", "rsi(close)", "rsi(close, 14)", "rsi(length=14)", "RSI( Close , Length = 1.4e1 )"],
)
def test_all_spellings_of_one_indicator_are_one_expression(text: str) -> None:
    assert parse(text) == Call("rsi", CLOSE, (14.0,))
    assert canonical(parse(text)) == "rsi(close,14)"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1 - 2 - 3", Binary("-", Binary("-", Number(1), Number(2)), Number(3))),
        ("1 + 2 * 3", Binary("+", Number(1), Binary("*", Number(2), Number(3)))),
        ("-close * 2", Binary("*", Negative(CLOSE), Number(2))),
        ("-close[1]", Negative(Ago(CLOSE, 1))),
        ("close[1][2]", Ago(Ago(CLOSE, 1), 2)),
        ("--close", Negative(Negative(CLOSE))),
        ("(close > open)[1]", Ago(Binary(">", CLOSE, OPEN), 1)),
        ("close + 1 > open", Binary(">", Binary("+", CLOSE, Number(1)), OPEN)),
        ("macd.hist", Output(Call("macd", CLOSE, (12.0, 26.0, 9.0)), "hist")),
        ("macd(open, signal=5, fast=3).hist[2]", Ago(Output(Call("macd", OPEN, (3.0, 26.0, 5.0)), "hist"), 2)),
        ("max(open, 1)", Function("max", (OPEN, Number(1)))),
        ("highest(5)", Call("highest", Series("high"), (5.0,))),
        ("ema(rsi, 9)", Call("ema", Call("rsi", CLOSE, (14.0,)), (9.0,))),
        ("tr()", Call("tr", None, ())),
        ("barssince(close > open)", Function("barssince", (Binary(">", CLOSE, OPEN),))),
        (
            "barssince(not cross(close, 1)) + 1",
            Binary("+", Function("barssince", (Not(Function("cross", (CLOSE, Number(1)))),)), Number(1)),
        ),
        ("vwap", Call("vwap", Series("traded"), ())),
        ("vwap(hlc3)", Call("vwap", Series("hlc3"), ())),
        ("sar(maximum=0.1)", Call("sar", None, (0.02, 0.1))),
        ("atr", Call("atr", None, (14.0,))),
    ],
)
def test_text_is_read_by_the_usual_precedence(text: str, tree: Expression) -> None:
    assert parse(text) == tree


def test_logic_binds_or_then_and_then_not_then_comparisons() -> None:
    a, b, c = Binary(">", CLOSE, Number(1)), Binary("<", CLOSE, Number(2)), Binary("==", OPEN, Number(3))
    assert parse("close > 1 or close < 2 and not open == 3") == Binary("or", a, Binary("and", b, Not(c)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("( ( close ) )", "close"),
        ("(1 - 2) - 3", "1-2-3"),
        ("1 - (2 - 3)", "1-(2-3)"),
        ("(close + open) * 2", "(close+open)*2"),
        ("-(close + open)", "-(close+open)"),
        ("(-close)[1]", "(-close)[1]"),
        ("(close > open)[1]", "(close>open)[1]"),
        ("1 - -1", "1--1"),
        ("close>1 AND NOT(open<2 OR low>3)", "close>1 and not (open<2 or low>3)"),
        ("(close>1 or open>1) and low>1", "(close>1 or open>1) and low>1"),
        ("1.50 + 1e3 + 1E-7 + 0.1e22 + .5", "1.5+1000+1e-7+1e21+0.5"),
        ("bbands(mult=2.50).upper", "bbands(close,20,2.5).upper"),
        ("crossover( close,sma )", "crossover(close,sma(close,20))"),
        ("2 + 1", "2+1"),
        ("tr", "tr"),
        ("bbands(close, 20, -0)", "bbands(close,20,0)"),
    ],
)
def test_the_canonical_text_has_no_ornament_and_no_algebra(text: str, expected: str) -> None:
    assert canonical(parse(text)) == expected


@given(expressions)
def test_the_canonical_text_reads_back_as_the_expression(expression: Expression) -> None:
    assert parse(canonical(expression)) == expression


@given(expressions)
def test_the_canonical_text_of_the_canonical_text_is_itself(expression: Expression) -> None:
    assert canonical(parse(canonical(expression))) == canonical(expression)


@given(expressions.flatmap(lambda e: st.tuples(st.just(e), spellings(e))))
def test_whatever_the_spelling_it_is_the_same_expression(case: tuple[Expression, str]) -> None:
    expression, text = case
    if len(text) <= MAX_TEXT:
        assert parse(text) == expression
        assert canonical(parse(text)) == canonical(expression)


@given(expressions)
def test_no_pair_of_parentheses_can_be_left_out_of_the_canonical_text(expression: Expression) -> None:
    text = canonical(expression)
    for start, character in enumerate(text):
        if character == "(" and not text[start - 1 : start].isalnum():
            depth, end = 1, start + 1
            while depth:
                depth += {"(": 1, ")": -1}.get(text[end], 0)
                end += 1
            shorter = text[:start] + text[start + 1 : end - 1] + text[end:]
            assert _error(shorter) is not None or parse(shorter) != expression, shorter


_OPERAND = 'a series, an indicator, a number, "-", "not" or "("'
_WHOLE = "a whole number from 1 to 5000"
_NUMBER = "a number: conditions are joined by and, or and not"
_OF_MACD = "one of them: macd.macd or macd.signal or macd.hist"


@pytest.mark.parametrize(
    ("text", "at", "found", "expected"),
    [
        ("1 + foo", 4, 'unknown name "foo"', "a series, an indicator or a number"),
        ("", 0, "the text ends", _OPERAND),
        ("close +", 7, "the text ends", _OPERAND),
        ("(close", 6, "the text ends", 'an operator or ")"'),
        ("close)", 5, 'unexpected ")"', "an operator or the end"),
        ("rsi 14", 4, 'unexpected "14"', "an operator or the end"),
        ("close = open", 6, 'unexpected "="', "an operator or the end"),
        ("rsi(close close)", 10, 'unexpected "close"', 'an operator, "," or ")"'),
        ("close & 1", 6, "unexpected character '&'", "a number, a name or an operator"),
        ("close > ö", 8, "unexpected character outside ASCII 'ö'", "a number, a name or an operator"),
        ("close\t", 5, "unexpected character '\\t'", "a number, a name or an operator"),
        ("1 < 2 < 3", 6, "chained comparison <", '"and" between two comparisons'),
        ("close > not open", 8, 'unexpected "not"', 'a value, or "not" in parentheses'),
        ("1e999", 0, "number 1e999 too large", "a finite number"),
        ("1e308 * 10", 0, "a constant out of the range of numbers", "finite numbers"),
        ("rsi(0)", 4, "length is 0", _WHOLE),
        ("rsi(5001)", 4, "length is 5001", _WHOLE),
        ("rsi(1.5)", 4, "length is 1.5", _WHOLE),
        ("rsi(-5)", 4, "length is -5", _WHOLE),
        ("bbands(mult=101)", 12, "mult is 101", "a number from 0 to 100"),
        ("rsi(length=2*7)", 11, "no plain number for length", _WHOLE),
        ("rsi(close, 14, 3)", 15, "an argument too many", "rsi(series, length)"),
        ("rsi(size=3)", 4, 'unknown parameter "size"', "rsi(series, length)"),
        ("macd(fast=3, 5)", 13, "a positional argument after a named one", "macd(series, fast, slow, signal)"),
        ("macd(3, fast=5)", 8, "fast given twice", "it once"),
        ("atr(close)", 4, 'a series for "atr"', "atr(length)"),
        ("close(1)", 0, '"close" called', "no arguments: close is a series"),
        ("abs()", 0, '"abs" with 0 arguments', "abs(x)"),
        ("min(a=1, b=2)", 4, '"a="', "min(a, b) without names"),
        ("close[0]", 6, "bars ago is 0", _WHOLE),
        ("close[open]", 6, "no plain number for bars ago", _WHOLE),
        ("close.hist", 6, '".hist" after a single value', "an indicator with several outputs before it"),
        ("macd.foo", 5, 'unknown output "foo"', "macd or signal or hist"),
        ("1 + macd", 4, '"macd" with all its outputs', _OF_MACD),
        (
            "ema(bbands)",
            4,
            '"bbands" with all its outputs',
            "one of them: bbands.upper or bbands.middle or bbands.lower",
        ),
        ("macd[1]", 0, '"macd" with all its outputs', _OF_MACD),
        ("1 + (close > open)", 5, "a condition", _NUMBER),
        ("ema(close > open)", 4, "a condition", _NUMBER),
        ("close > 1 and open", 14, "a number", 'a condition for "and", such as close > open'),
        ("barssince(close)", 10, "a number", 'a condition for "barssince", such as close > open'),
        ("barssince()", 0, '"barssince" with 0 arguments', "barssince(condition)"),
        ("barssince(close > open) and close > 1", 0, "a number", 'a condition for "and", such as close > open'),
        ("turnover", 0, 'unknown name "turnover"', "a series, an indicator or a number"),
        ("total(close, 1)", 0, 'unknown name "total"', "a series, an indicator or a number"),
        ("not close", 4, "a number", 'a condition for "not", such as close > open'),
        (
            "ema(ema(ema(5000), 5000), 5000)",
            0,
            "an expression that needs 14997 bars before its first value",
            "at most 10000",
        ),
    ],
)
def test_a_fault_is_named_with_its_place_and_what_was_expected(text: str, at: int, found: str, expected: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        parse(text)
    assert str(raised.value) == f"{found} at column {at + 1}: expected {expected}"
    assert raised.value.at == at


@pytest.mark.parametrize(
    "text", ["close.__class__", "__import__", "__import__(1)", "lambda", "close if 1 else 2", "a:=1"]
)
def test_python_is_out_of_reach(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


def _error(text: str) -> ExpressionError | None:
    try:
        parse(text)
    except ExpressionError as error:
        return error
    return None


def _is_expression_or_error(text: str) -> None:
    error = _error(text)
    if error is not None:
        assert 0 <= error.at <= len(text)
        assert f" at column {error.at + 1}: expected " in str(error)


@given(st.text())
def test_any_text_gives_an_expression_or_an_error_with_a_place_in_it(text: str) -> None:
    _is_expression_or_error(text)


@given(st.lists(st.sampled_from([*"()[]+-*/<>=,. ", "close", "rsi", "macd", ".hist", "and", "not", "1", "14", "=="])))
def test_any_words_of_the_language_give_an_expression_or_an_error_with_a_place_in_it(words: list[str]) -> None:
    _is_expression_or_error("".join(words))


FRAMES = 300
"""So many calls within calls are enough for any text."""

_PIECES = ["(", "-", "not ", "abs(", "ema(", "close[", "1+", "1>", "1 or ", "-(", "a.", "(("]
_PAIRS = [("(", ")"), ("abs(", ")"), ("rsi(", ")"), ("", "[1]"), ("-", ""), ("", "+1"), ("1-(", ")")]


@given(st.integers(1, 300), st.sampled_from(_PIECES))
def test_nothing_recurses_out_of_bounds(times: int, piece: str) -> None:
    _parses_within(FRAMES, piece * times + "1")


@given(st.integers(1, 120), st.sampled_from(_PAIRS))
def test_nothing_well_formed_recurses_out_of_bounds(times: int, around: tuple[str, str]) -> None:
    before, after = around
    _parses_within(FRAMES, before * times + "close" + after * times)


@pytest.mark.parametrize(
    "text", ["1+" * 127 + "1", "(" * 79 + "1" + ")" * 79, "-" * 78 + "1", "1" + "[1]" * 84, "abs(" * 60]
)
def test_the_worst_that_fits_into_a_text_recurses_no_further(text: str) -> None:
    _parses_within(FRAMES, text)


def _parses_within(frames: int, text: str) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + frames)
    try:
        _is_expression_or_error(text)
    finally:
        sys.setrecursionlimit(limit)


def test_the_deepest_the_largest_and_the_longest_expression_are_allowed_and_no_more() -> None:
    parse("-" * (MAX_DEPTH - 1) + "1")
    with pytest.raises(ExpressionError, match=f"{MAX_DEPTH + 1} levels"):
        parse("-" * MAX_DEPTH + "1")
    half = "+".join("1" * 25)
    parse(f"-(({half})*({half}))")
    with pytest.raises(ExpressionError, match=f"101 parts.*at most {MAX_SIZE}"):
        parse(f"--(({half})*({half}))")
    parse("close" + " " * 250)
    with pytest.raises(ExpressionError, match=r"\(256 characters\) at column 256: expected at most 255 bytes"):
        parse("close" + " " * 251)
    parse("+".join(["1" + "[1]" * 27] * 3))
    with pytest.raises(ExpressionError, match="bytes in canonical form"):
        parse("-".join(["bbands.upper"] * 19))


def test_only_an_indicator_at_the_top_has_named_outputs() -> None:
    assert outputs(parse("macd")) == ("macd", "signal", "hist")
    assert outputs(parse("bbands(10)")) == ("upper", "middle", "lower")
    for text in ("macd.hist", "rsi", "close", "5", "close > open", "macd.hist[1]"):
        assert outputs(parse(text)) == ()


@pytest.mark.parametrize(
    "text", ["close > open", "not close > 1", "cross(open, 1)", "(close > 1)[3]", "1 > 2 or 3 > 2"]
)
def test_comparisons_logic_and_crossings_are_conditions(text: str) -> None:
    assert is_condition(parse(text))


@pytest.mark.parametrize("text", ["close", "1", "rsi", "close[1]", "min(1, 2)", "macd", "macd.hist", "-close", "1 + 2"])
def test_numbers_are_no_conditions(text: str) -> None:
    assert not is_condition(parse(text))
