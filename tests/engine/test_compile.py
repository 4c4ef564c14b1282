import pytest

from engine.compile import MAX_KEY, build_node, node_keys
from engine.errors import GraphError
from wire.expression import parse
from wire.program import ELEMENTWISE, RECURSIONS, SERIES, WINDOWS, Operation
from wire.program_builder import build_program


def _keys(text: str) -> tuple[str, ...]:
    return node_keys(build_program(parse(text)))


def test_a_key_is_the_text_of_an_operation() -> None:
    assert _keys("ema(9) - 2.5") == (
        "close()",
        "smooth(close();9,0.2)",
        "number(;2.5)",
        "subtract(smooth(close();9,0.2),number(;2.5))",
    )


def test_equal_operations_have_equal_keys_in_all_expressions() -> None:
    assert set(_keys("ema(close, 9)")) < set(_keys("crossover(ema(9), ema(21))"))
    assert set(_keys("stddev(20)")) < set(_keys("bbands"))
    assert set(_keys("change(5)")) == set(_keys("mom(5)"))


def test_different_operations_have_different_keys() -> None:
    texts = [
        "ema(9)",
        "ema(10)",
        "ema(open, 9)",
        "rma(9)",
        "close[1]",
        "close[2]",
        "close - open",
        "open - close",
        "sma(9)",
    ]
    assert len({_keys(text)[-1] for text in texts}) == len(texts)


def test_a_key_stays_short_however_deep_the_expression() -> None:
    text = "close"
    for _ in range(12):
        text = f"rsi({text}, 2)"
    keys = _keys(text)
    assert max(map(len, keys)) <= MAX_KEY
    assert len(set(keys)) == len(keys)


_MEMORIES = (*WINDOWS, *RECURSIONS, "ago", "smooth")


@pytest.mark.parametrize("kernel", [*ELEMENTWISE, *SERIES, "number", "constant", "output", *_MEMORIES])
def test_every_kernel_of_a_program_has_a_node(kernel: str) -> None:
    parameters = (3.0, 0.5)[: 2 if kernel in ("smooth", "sar") else 1]
    outputs = RECURSIONS[kernel].outputs if kernel in RECURSIONS else 1
    node = build_node(Operation(kernel, (), parameters, 5, 6, outputs), 4, 10)
    shape = (4,) if outputs == 1 else (outputs, 4)
    assert (node.ready, node.settled, node.began, node.value.shape) == (5, 6, 10, shape)
    assert (node.kernel is not None) == (node.keep is not None) == (kernel in _MEMORIES)


def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(GraphError, match=r"expected a kernel of wire\.program, found 'exp'"):
        build_node(Operation("exp", (), (), 1, 1), 4, 0)
