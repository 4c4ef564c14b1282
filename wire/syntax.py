"""The grammar of signal expressions: text to a syntax tree that remembers places. Pure; knows no indicator by name.

Loosest first: ``or``, ``and``, ``not``, one comparison, ``+ -``, ``* /``, unary ``-``, then ``x[k]`` and ``x.output``.
The definitions in the catalogue are written in the same grammar.
"""

import re
from typing import Final

from msgspec import Struct

MAX_TEXT: Final = 255
"""The longest text, in bytes: that of a channel name."""

MAX_NESTING: Final = 80
"""How far operands may be nested in the text, redundant parentheses counted."""

_OR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _UNARY = range(1, 8)

COMPARISONS: Final = (">", "<", ">=", "<=", "==", "!=")

_TOKEN: Final = re.compile(
    r" *(?:(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<sign>>=|<=|==|!=|[-+*/()<>,.=\[\]])|(?P<end>\Z))"
)


class ExpressionError(ValueError):
    """A text that is no expression: the message names the fault, its column (from 1) and what was expected.

    `at` is the 0-based offset of the fault in the text (its length, if something is missing at the end).
    """

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def fault(found: str, at: int, expected: str) -> ExpressionError:
    """The error for `found` at offset `at`, in the form that all of them have."""
    return ExpressionError(f"{found} at column {at + 1}: expected {expected}", at)


class NumberSyntax(Struct, frozen=True):
    """A number, as written."""

    value: float
    at: int


class NameSyntax(Struct, frozen=True):
    """A bare name, in lower case."""

    name: str
    at: int


class Argument(Struct, frozen=True):
    """One argument of a call; `name` is None for a positional one."""

    name: str | None
    value: "Syntax"
    at: int


class CallSyntax(Struct, frozen=True):
    """``name(arguments)``."""

    name: str
    arguments: tuple[Argument, ...]
    at: int


class IndexSyntax(Struct, frozen=True):
    """``x[index]``."""

    x: "Syntax"
    index: "Syntax"
    at: int


class MemberSyntax(Struct, frozen=True):
    """``x.name``; `at` is the name's place."""

    x: "Syntax"
    name: str
    at: int


class UnarySyntax(Struct, frozen=True):
    """``-x`` or ``not x``; `at` is the operator's place."""

    operator: str
    x: "Syntax"
    at: int


class BinarySyntax(Struct, frozen=True):
    """``left operator right``; `at` is the operator's place."""

    operator: str
    left: "Syntax"
    right: "Syntax"
    at: int


Syntax = NumberSyntax | NameSyntax | CallSyntax | IndexSyntax | MemberSyntax | UnarySyntax | BinarySyntax


class _Token(Struct, frozen=True):
    kind: str
    text: str
    at: int

    @property
    def found(self) -> str:
        """How an error speaks of it."""
        return "the text ends" if self.kind == "end" else f'unexpected "{self.text}"'


def parse_syntax(text: str) -> Syntax:
    """The syntax tree of `text`. Raises ExpressionError; never recurses deeper than MAX_NESTING allows."""
    if len(text) > MAX_TEXT:
        raise fault(f"the text goes on ({len(text)} characters)", MAX_TEXT, f"at most {MAX_TEXT} bytes")
    parser = _Parser(_tokens(text))
    tree = parser.operand(_OR)
    if parser.here.kind != "end":
        raise fault(parser.here.found, parser.here.at, "an operator or the end")
    return tree


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    place = 0
    while not tokens or tokens[-1].kind != "end":
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            at = place + len(text[place:]) - len(text[place:].lstrip(" "))
            kind = "character" if text[at].isascii() else "character outside ASCII"
            raise fault(f"unexpected {kind} {text[at]!r}", at, "a number, a name or an operator")
        kind = found.lastgroup
        word = found.group(kind)
        tokens.append(_Token(kind, word if kind == "number" else word.lower(), found.start(kind)))
        place = found.end()
    return tokens


def _power(token: _Token) -> int:
    """How tightly a binary operator binds; 0, under every floor, for what is none."""
    match token.text:
        case "or":
            return _OR
        case "and":
            return _AND
        case "+" | "-":
            return _SUM
        case "*" | "/":
            return _PRODUCT
        case text if text in COMPARISONS:
            return _COMPARISON
    return 0


class _Parser:
    """Precedence climbing over the tokens of one text."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    @property
    def here(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _expect(self, text: str, expected: str) -> _Token:
        if self.here.text != text:
            raise fault(self.here.found, self.here.at, expected)
        return self._take()

    def operand(self, floor: int) -> Syntax:
        """Reads on while the operators bind at least as tightly as `floor`."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise fault("nested too deep", self.here.at, f"at most {MAX_NESTING} levels")
        left = self._prefixed(floor)
        while (power := _power(self.here)) >= floor:
            operator = self._take()
            right = self.operand(power + 1)
            if power == _COMPARISON and _power(self.here) == _COMPARISON:
                raise fault(f"chained comparison {self.here.text}", self.here.at, '"and" between two comparisons')
            left = BinarySyntax(operator.text, left, right, operator.at)
        self._depth -= 1
        return left

    def _prefixed(self, floor: int) -> Syntax:
        token = self.here
        if token.text == "not":
            if floor > _NOT:
                raise fault('unexpected "not"', token.at, 'a value, or "not" in parentheses')
            self._take()
            return UnarySyntax("not", self.operand(_NOT), token.at)
        if token.text == "-":
            self._take()
            return UnarySyntax("-", self.operand(_UNARY), token.at)
        return self._postfixed(self._atom())

    def _atom(self) -> Syntax:
        token = self.here
        if token.kind == "number":
            self._take()
            value = float(token.text)
            if value == float("inf"):
                raise fault(f"number {token.text} too large", token.at, "a finite number")
            return NumberSyntax(value, token.at)
        if token.text == "(":
            self._take()
            inner = self.operand(_OR)
            self._expect(")", 'an operator or ")"')
            return inner
        if token.kind == "name" and token.text not in ("and", "or"):
            self._take()
            return self._call(token) if self.here.text == "(" else NameSyntax(token.text, token.at)
        raise fault(token.found, token.at, 'a series, an indicator, a number, "-", "not" or "("')

    def _call(self, name: _Token) -> Syntax:
        self._take()
        arguments: list[Argument] = []
        while self.here.text != ")":
            if arguments:
                self._expect(",", 'an operator, "," or ")"')
            at = self.here.at
            keyword = None
            if self.here.kind == "name" and self._tokens[self._next + 1].text == "=":
                keyword = self._take().text
                self._take()
            arguments.append(Argument(keyword, self.operand(_OR), at))
        self._take()
        return CallSyntax(name.text, tuple(arguments), name.at)

    def _postfixed(self, x: Syntax) -> Syntax:
        while self.here.text in ("[", "."):
            token = self._take()
            if token.text == "[":
                x = IndexSyntax(x, self.operand(_OR), token.at)
                self._expect("]", 'an operator or "]"')
            elif self.here.kind == "name":
                x = MemberSyntax(x, self.here.text, self._take().at)
            else:
                raise fault(self.here.found, self.here.at, "the name of an output")
        return x
