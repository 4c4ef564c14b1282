"""Signal expressions: the tree, its one canonical text, and the parser. Pure; no I/O.

``parse`` reads a text by a whitelist: the names of the catalogue and nothing else. Two spellings of one expression
parse to equal trees, and ``canonical`` gives the one text that both stand for.
"""

from wire.expression_parser import MAX_DEPTH, MAX_SIZE, is_condition, outputs, parse
from wire.expression_tree import (
    Ago,
    Binary,
    Call,
    Expression,
    Function,
    Negative,
    Not,
    Number,
    Output,
    Series,
    canonical,
    children,
)
from wire.syntax import MAX_TEXT, ExpressionError

__all__ = [
    "MAX_DEPTH",
    "MAX_SIZE",
    "MAX_TEXT",
    "Ago",
    "Binary",
    "Call",
    "Expression",
    "ExpressionError",
    "Function",
    "Negative",
    "Not",
    "Number",
    "Output",
    "Series",
    "canonical",
    "children",
    "is_condition",
    "outputs",
    "parse",
]
