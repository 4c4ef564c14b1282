"""What a condition compares, for alerts to tell."""

import pytest

from wire.comparison import compared
from wire.expression import canonical, parse


@pytest.mark.parametrize(
    ("condition", "operands"),
    [
        ("close > open", ["close", "open"]),
        ("rsi(14) < 30", ["rsi(close,14)"]),
        ("rsi < 30 and close > bbands.lower", ["rsi(close,14)", "close", "bbands(close,20,2).lower"]),
        ("not (close > open or volume > 5)", ["close", "open", "volume"]),
        ("crossover(ema(9), ema(21))", ["ema(close,9)", "ema(close,21)"]),
        ("close > open and close > 3", ["close", "open"]),
        ("(close > open)[2] and close > 3", ["close[2]", "open[2]", "close"]),
        ("abs(close - open) > 1", ["abs(close-open)"]),
    ],
)
def test_the_operands_of_a_condition(condition: str, operands: list[str]) -> None:
    assert [canonical(operand) for operand in compared(parse(condition))] == operands
