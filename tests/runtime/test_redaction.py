"""What is hidden before anything is written, and what is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.redaction import HIDDEN, is_secret_name, redact, redact_field, redact_text
from runtime.secret import Secret

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "Token",
        "access_token",
        "accessToken",
        "refresh-token",
        "authorization",
        "Authorization",
        "proxy_authorization",
        "api_key",
        "apiKey",
        "API_KEY",
        "X-Internal-API-Key",
        "INTERNAL_API_KEY",
        "password",
        "db_password",
        "passwd",
        "secret",
        "client_secret",
        "cookie",
        "cookies",
        "set-cookie",
        "credentials",
        "private_key",
        "SIGNING_KEY",
    ],
)
def test_a_name_of_a_secret_is_known(name: str) -> None:
    assert is_secret_name(name)
    assert redact_field(name, "hunter2") == HIDDEN
    assert redact_field(name, ["hunter2"]) == HIDDEN


@pytest.mark.parametrize("name", ["event", "key", "channel", "tokenize", "author", "monkey", "path", "code", "cook"])
def test_other_names_are_left_alone(name: str) -> None:
    assert redact_field(name, "hunter2") == "hunter2"


@pytest.mark.parametrize("value", [None, 0, 3, 2.5, True])
def test_numbers_are_no_secrets(value: object) -> None:
    assert redact_field("token", value) is value


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("bearer abc", "bearer ***"),
        ("Basic dXNlcjpwdw==", "Basic ***"),
        (f"got {JWT} here", "got *** here"),
        ("redis://:hunter2@host:6379/0", "redis://:***@host:6379/0"),
        ("postgresql://user:hunter2@host/db", "postgresql://user:***@host/db"),
        ("/connect?token=abc&x=1", "/connect?token=***&x=1"),
        ("api_key=abc", "api_key=***"),
        ("forbearer abc", "forbearer abc"),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("signals:BINANCE:BTCUSDT@1m:rsi(14)", "signals:BINANCE:BTCUSDT@1m:rsi(14)"),
        ("bars:BINANCE:BTCUSDT@1s", "bars:BINANCE:BTCUSDT@1s"),
    ],
)
def test_a_text_loses_what_looks_like_a_secret_and_nothing_else(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted
    assert redact(text.encode()) == redacted
    assert redact(ValueError(text)) == redacted


def test_what_is_nested_is_redacted_too() -> None:
    value = {"headers": [{"Authorization": "x", "Host": "h"}], "url": ("http://u:pw@h",), 3: {Secret("a")}}

    assert redact(value) == {
        "headers": [{"Authorization": HIDDEN, "Host": "h"}],
        "url": ["http://u:***@h"],
        "3": ["Secret('***')"],
    }


def test_what_is_nested_without_end_is_hidden() -> None:
    value: list[object] = []
    value.append(value)

    assert HIDDEN in str(redact(value))


@given(st.sampled_from(["Bearer {}", "basic {}", "redis://:{}@h", "x?token={}&y", "password={}"]), st.data())
def test_no_secret_of_these_forms_is_left(form: str, data: st.DataObject) -> None:
    secret = "zz" + data.draw(st.text("abcdef0123456789._-", min_size=6, max_size=30))

    assert secret not in redact_text(f"before {form.format(secret)} after")
