"""What is to be said of an expression, or of a channel's name, without subscribing. Pure; no I/O."""

from msgspec import Struct

from gateway.offer import Refusal, offered
from wire import close
from wire import expression as language
from wire.expression import Expression, ExpressionError
from wire.program_builder import build_program


class Validated(Struct, frozen=True):
    """What can be subscribed: `canonical` is the one text of all spellings, `outputs` name its values (() for one).

    Without a value are the first `warm_up_bars` of an instrument, not settled the first `unstable_bars`.
    """

    canonical: str
    outputs: tuple[str, ...]
    warm_up_bars: int
    unstable_bars: int


class Fault(Struct, frozen=True, omit_defaults=True):
    """What a subscribe would be refused with, and where in the expression: `column` counts from 1."""

    code: int
    message: str
    column: int | None = None


class Invalid(Struct, frozen=True):
    """The answer to what cannot be subscribed."""

    error: Fault


def validate_expression(text: str) -> Validated | Invalid:
    """Say what `text` stands for."""
    try:
        expression = language.parse(text)
    except ExpressionError as error:
        return Invalid(Fault(close.MALFORMED.code, str(error), error.at + 1))
    return _validated(language.canonical(expression), expression)


def validate_channel(name: str) -> Validated | Invalid:
    """Say what the channel `name` stands for; whether its instrument exists is not looked at."""
    channel = offered(name)
    if isinstance(channel, Refusal):
        return Invalid(Fault(channel.error.code, channel.message, channel.column))
    return _validated(channel.name, channel.expression)


def _validated(canonical: str, expression: Expression | None) -> Validated:
    if expression is None:
        return Validated(canonical, (), 0, 0)
    program = build_program(expression)
    return Validated(canonical, language.outputs(expression), program.warm_up_bars, program.unstable_bars)
