"""Logs: an event's name and its fields, one line each, redacted, written to a stream."""

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from enum import Enum
from typing import Final, Literal, TextIO

import structlog
from msgspec import Struct

from runtime.redaction import redact_field, redact_text

Level = Literal["debug", "info", "warning", "error"]

_LEVELS: Final[Mapping[Level, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_FIRST: Final = ("time", "level", "event")


class LogForm(Enum):
    """How a line is written: ``time level event key=value …`` for people, or a JSON object for machines."""

    TEXT = "text"
    JSON = "json"


class LogConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What is logged, and how. `libraries` is the least level at which what libraries log is passed on."""

    level: Level = "info"
    form: LogForm = LogForm.TEXT
    libraries: Level = "warning"


def configure_logs(config: LogConfig | None = None, stream: TextIO | None = None) -> None:
    """Send every log line of this process, ours and the libraries', through one redaction to one stream.

    To be called once, by what starts the process. `stream` is the standard error unless given.
    """
    config = LogConfig() if config is None else config
    stream = sys.stderr if stream is None else stream
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            structlog.processors.format_exc_info,
            _Renderer(config.form),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[config.level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_LibraryFormatter(config.form))
    logging.basicConfig(handlers=[handler], level=_LEVELS[config.libraries], force=True)


def render(fields: Mapping[str, object], form: LogForm) -> str:
    """Write one event as one line, secrets hidden. `fields` has at least ``event``; ``time`` and ``level`` come first.

    A value that holds anything but letters, digits and the usual marks is written as a JSON string, so that no value
    can end the line, start another field, or reach a terminal with a control character.
    """
    redacted = {name: redact_field(name, value) for name, value in fields.items()}
    if form is LogForm.JSON:
        ordered = {name: redacted.pop(name) for name in _FIRST if name in redacted}
        return json.dumps({**ordered, **redacted}, separators=(",", ":"), default=str)
    first = [_text(redacted.pop(name)) for name in _FIRST if name in redacted]
    return " ".join([*first, *(f"{_text(name)}={_text(value)}" for name, value in redacted.items())])


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
    plain = text.isascii() and text.isprintable() and not any(mark in text for mark in ' "=\\')
    return text if plain and text else json.dumps(text)


class _Renderer:
    """The last step of structlog's chain."""

    def __init__(self, form: LogForm) -> None:
        self._form = form

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, object]) -> str:
        return render(event, self._form)


class _LibraryFormatter(logging.Formatter):
    """Writes what a library logs as an event of ours."""

    def __init__(self, form: LogForm) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """Give the line of a record."""
        time = datetime.fromtimestamp(record.created, tz=UTC)
        fields: dict[str, object] = {
            "time": time.isoformat().replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": "library.logged",
            "library": record.name,
            "message": redact_text(record.getMessage()),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return render(fields, self._form)
