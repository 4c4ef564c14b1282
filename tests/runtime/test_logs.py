"""A log line: an event's name and its fields, on one line, without secrets."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from runtime.logs import LogConfig, LogForm, configure_logs, render
from runtime.secret import Secret


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Give what is written to; the configuration, which is the process's, is put back after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_for_people_begins_with_time_level_and_event(stream: io.StringIO) -> None:
    configure_logs(LogConfig(), stream)
    structlog.get_logger("gateway").info("connection.closed", code=3008, cause="slow_consumer", duration=12.3)
    time, rest = stream.getvalue().split(" ", 1)

    assert time.endswith("Z")
    assert rest == "info connection.closed code=3008 cause=slow_consumer duration=12.3\n"


def test_a_line_for_machines_is_a_json_object(stream: io.StringIO) -> None:
    configure_logs(LogConfig(form=LogForm.JSON), stream)
    structlog.get_logger().warning("bus.lost", topics=[1, 2], why=None)
    line = json.loads(stream.getvalue())

    assert list(line)[:3] == ["time", "level", "event"]
    assert line | {"time": ""} == {
        "time": "",
        "level": "warning",
        "event": "bus.lost",
        "topics": [1, 2],
        "why": None,
    }


def test_events_below_the_level_are_not_written(stream: io.StringIO) -> None:
    configure_logs(LogConfig(level="warning"), stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert stream.getvalue().count("\n") == 1
    assert "loud" in stream.getvalue()


@pytest.mark.parametrize("form", LogForm)
def test_an_exception_is_on_the_same_line(form: LogForm, stream: io.StringIO) -> None:
    configure_logs(LogConfig(form=form), stream)
    try:
        raise ValueError("expected Bearer hunter2")
    except ValueError:
        structlog.get_logger().exception("connection.failed")

    written = stream.getvalue()
    assert written.count("\n") == 1
    assert "ValueError: expected Bearer ***" in written
    assert "hunter2" not in written
    assert "Traceback" in written


@pytest.mark.parametrize("form", LogForm)
def test_what_libraries_log_is_an_event_of_the_same_form(form: LogForm, stream: io.StringIO) -> None:
    configure_logs(LogConfig(form=form), stream)
    logging.getLogger("websockets.server").info("not passed on")
    logging.getLogger("websockets.server").warning("opening %s failed with %s", "x", "Bearer hunter2")
    written = stream.getvalue()

    assert written.count("\n") == 1
    assert "library.logged" in written
    assert "websockets.server" in written
    assert "opening x failed with Bearer ***" in written


def test_a_library_s_exception_is_on_the_same_line(stream: io.StringIO) -> None:
    configure_logs(LogConfig(), stream)
    try:
        raise ValueError("oops")
    except ValueError:
        logging.getLogger("aiohttp").exception("failed")

    assert stream.getvalue().count("\n") == 1
    assert "ValueError: oops" in stream.getvalue()


def test_configuring_again_takes_the_place_of_the_first(stream: io.StringIO) -> None:
    first = io.StringIO()
    configure_logs(LogConfig(), first)
    log = structlog.get_logger()
    log.info("one")
    configure_logs(LogConfig(), stream)
    log.info("two")
    logging.getLogger("x").warning("three")

    assert first.getvalue().count("\n") == 1
    assert stream.getvalue().count("\n") == 2


@pytest.mark.parametrize("form", LogForm)
def test_secrets_are_hidden_by_name_and_by_look(form: LogForm) -> None:
    line = render(
        {
            "event": "connect",
            "token": "hunter2",
            "key": Secret("hunter2"),
            "headers": {"Authorization": "hunter2"},
            "url": "redis://:hunter2@h",
            "error": ValueError("Bearer hunter2"),
        },
        form,
    )

    assert "hunter2" not in line
    assert line.count("***") == 5


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain-1.5_x:/@", "plain-1.5_x:/@"),
        ("", '""'),
        ("two words", '"two words"'),
        ('say "x"', '"say \\"x\\""'),
        ("a=b", '"a=b"'),
        ("line\nbreak", '"line\\nbreak"'),
        ("\x1b[31mred", '"\\u001b[31mred"'),
        ("ü", '"\\u00fc"'),
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        ([1, "a b"], '"[1,\\"a b\\"]"'),
    ],
)
def test_a_value_is_quoted_when_it_could_be_misread(value: object, written: str) -> None:
    assert render({"event": "e", "x": value}, LogForm.TEXT) == f"e x={written}"


@given(st.dictionaries(st.text(min_size=1), st.text() | st.binary() | st.floats() | st.lists(st.text())))
def test_whatever_is_logged_is_one_printable_line(fields: dict[str, object]) -> None:
    for form in LogForm:
        line = render({"event": "e", **fields}, form)

        assert line.isascii()
        assert line.isprintable()
