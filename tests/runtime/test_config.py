"""Configuration: a TOML file, the environment over it, and errors that name the place."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from runtime.config import ConfigError, Secret, load_config

Port = Annotated[int, Meta(ge=0, le=65535)]


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


class Listen(Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: Port = 8000
    origins: tuple[str, ...] = ()
    mode: Mode = Mode.SAFE
    tls: bool = False
    timeout_s: Annotated[float, Meta(gt=0)] = 1.0


class Upstream(Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    api_key: Secret | None = None
    timeout_s: float | None = None


class Feed(Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    rate: int = 1
    token: Secret | None = None


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    listen: Listen = Listen()
    user_service: Upstream | None = None
    feeds: tuple[Feed, ...] = ()


class Strict(Struct, frozen=True, forbid_unknown_fields=True):
    user_service: Upstream


def load(tmp_path: Path, text: str, **environment: str) -> Config:
    path = tmp_path / "service.toml"
    path.write_text(text)
    return load_config(Config, environment=environment, path=path)


def complaint(tmp_path: Path, text: str, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **environment)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path}/service.toml: ")


def test_without_a_file_there_are_the_defaults() -> None:
    assert load_config(Config, environment={}) == Config()


def test_a_file_sets_what_it_names(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        [listen]
        port = 9000
        origins = ["https://a.example", "https://b.example"]
        mode = "fast"

        [user_service]
        url = "http://users"

        [[feeds]]
        url = "one"

        [[feeds]]
        url = "two"
        rate = 5
        """,
    )

    assert config.listen == Listen(port=9000, origins=("https://a.example", "https://b.example"), mode=Mode.FAST)
    assert config.user_service == Upstream("http://users")
    assert config.feeds == (Feed("one"), Feed("two", 5))


def test_the_environment_is_over_the_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "[listen]\nhost = 'file'\nport = 1\n[[feeds]]\nurl = 'one'\n[[feeds]]\nurl = 'two'\n",
        SIGNAL_LISTEN_PORT="9000",
        SIGNAL_LISTEN_ORIGINS="https://a.example, https://b.example",
        SIGNAL_LISTEN_MODE="fast",
        SIGNAL_LISTEN_TLS="true",
        SIGNAL_LISTEN_TIMEOUT_S="0.5",
        SIGNAL_USER_SERVICE_URL="http://users",
        SIGNAL_USER_SERVICE_TIMEOUT_S="2",
        SIGNAL_FEEDS_1_RATE="7",
    )

    assert config.listen == Listen("file", 9000, ("https://a.example", "https://b.example"), Mode.FAST, True, 0.5)
    assert config.user_service == Upstream("http://users", timeout_s=2.0)
    assert config.feeds == (Feed("one"), Feed("two", 7))


def test_variables_that_are_not_ours_are_passed_over(tmp_path: Path) -> None:
    """An orchestrator sets variables for every service it knows, and ours is called signal-service."""
    environment = {
        "SIGNAL_SERVICE_PORT": "tcp://10.0.0.1:80",
        "SIGNAL_SERVICE_SERVICE_HOST": "10.0.0.1",
        "SIGNAL_FEEDS_7_URL": "beyond",
        "SIGNAL_FEEDS_URL": "no element",
        "SIGNAL_LISTEN": "x",
        "PORT": "1",
    }

    assert load(tmp_path, "", **environment) == Config()


def test_an_empty_list_can_be_set_from_the_environment(tmp_path: Path) -> None:
    assert load(tmp_path, "[listen]\norigins = ['*']", SIGNAL_LISTEN_ORIGINS="").listen.origins == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[listen]\nport = '9000'", "listen.port: expected `int`, got `str`, found '9000'"),
        ("[listen]\nport = 70000", "listen.port: expected `int` <= 65535, found 70000"),
        ("[listen]\ntimeout_s = nan", "listen.timeout_s: expected `float` > 0.0, found nan"),
        ("[listen]\nmode = 'slow'", "listen.mode: invalid enum value 'slow', found 'slow'"),
        ("[listen]\norigins = ['a', 1]", "listen.origins[1]: expected `str`, got `int`, found 1"),
        ("[[feeds]]\nurl='a'\n[[feeds]]\nurl=2", "feeds[1].url: expected `str`, got `int`, found 2"),
        ("[[feeds]]\nrate = 2", "feeds[0].url: expected a value, found none"),
        ("[feeds]\nurl = 'a'", "feeds: expected `array`, got `object`, found {'url': 'a'}"),
        ("[user_service]", "user_service.url: expected a value, found none"),
        (
            "[listen]\nprot = 1",
            "listen.prot: expected one of: host, port, origins, mode, tls, timeout_s; found an unknown field",
        ),
        ("[lsiten]", "lsiten: expected one of: listen, user_service, feeds; found an unknown field"),
        ("listen = 3", "listen: expected `object`, got `int`, found 3"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(text: str, expected: str, tmp_path: Path) -> None:
    assert complaint(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("SIGNAL_LISTEN_PORT", "http", "expected `int`, got `str`, found 'http'"),
        ("SIGNAL_LISTEN_PORT", "70000", "expected `int` <= 65535, found '70000'"),
        ("SIGNAL_LISTEN_TLS", "maybe", "expected `bool`, got `str`, found 'maybe'"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, expected: str, tmp_path: Path) -> None:
    assert complaint(tmp_path, "", **{variable: value}) == f"{variable} in the environment: {expected}"


def test_a_required_table_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="configuration: user_service: expected a value, found none"):
        load_config(Strict, environment={})


def test_a_file_that_is_not_toml_is_an_error_of_one_line(tmp_path: Path) -> None:
    assert complaint(tmp_path, "listen").startswith("expected TOML, found: ")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a readable file, found: No such file or directory"):
        load_config(Config, environment={}, path=tmp_path / "none.toml")


def test_a_secret_comes_from_the_environment(tmp_path: Path) -> None:
    config = load(tmp_path, "[user_service]\nurl = 'u'", SIGNAL_USER_SERVICE_API_KEY="hunter2")

    assert config.user_service is not None
    assert config.user_service.api_key == Secret("hunter2")
    assert "hunter2" not in repr(config)


@pytest.mark.parametrize("named_by", ["file", "environment"])
def test_a_secret_comes_from_a_file_that_is_named(named_by: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("hunter2\n")
    text = f"[user_service]\nurl = 'u'\napi_key_file = '{key}'" if named_by == "file" else "[user_service]\nurl = 'u'"
    environment = {"SIGNAL_USER_SERVICE_API_KEY_FILE": str(key)} if named_by == "environment" else {}

    assert load(tmp_path, text, **environment).user_service == Upstream("u", Secret("hunter2"))


def test_a_secret_of_an_element_of_an_array_comes_from_the_environment(tmp_path: Path) -> None:
    config = load(tmp_path, "[[feeds]]\nurl = 'a'\n[[feeds]]\nurl = 'b'", SIGNAL_FEEDS_1_TOKEN="hunter2")

    assert config.feeds == (Feed("a"), Feed("b", token=Secret("hunter2")))


def test_the_variable_of_a_secret_wins_over_the_file_that_is_named(tmp_path: Path) -> None:
    text = "[user_service]\nurl = 'u'\napi_key_file = 'nowhere'"

    assert load(tmp_path, text, SIGNAL_USER_SERVICE_API_KEY="x").user_service == Upstream("u", Secret("x"))


def test_a_field_may_have_a_further_name_in_the_environment(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("from a file")

    def upstream(**environment: str) -> Upstream:
        aliases = {"INTERNAL_API_KEY": "user_service.api_key", "USERS_URL": "user_service.url"}
        return load_config(Strict, environment={"USERS_URL": "u", **environment}, aliases=aliases).user_service

    assert upstream(INTERNAL_API_KEY="alias") == Upstream("u", Secret("alias"))
    assert upstream(INTERNAL_API_KEY_FILE=str(key)) == Upstream("u", Secret("from a file"))
    assert upstream(INTERNAL_API_KEY="alias", SIGNAL_USER_SERVICE_API_KEY="own") == Upstream("u", Secret("own"))


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        pytest.param(
            "[user_service]\nurl = 'u'\napi_key = 'hunter2'",
            {},
            "user_service.api_key: expected the secret in the environment, or in a file that "
            "user_service.api_key_file names; found it here",
            id="in the file itself",
        ),
        pytest.param(
            "[[feeds]]\nurl = 'u'\ntoken = 'hunter2'",
            {},
            "feeds[0].token: expected the secret in the environment, or in a file that feeds[0].token_file names; "
            "found it here",
            id="in an element of an array",
        ),
        pytest.param(
            "[user_service]\nurl = 'u'\napi_key_file = 'nowhere'",
            {},
            "user_service.api_key_file: expected a readable file, found 'nowhere': No such file or directory",
            id="in a file that is not there",
        ),
        pytest.param(
            "[user_service]\nurl = 'u'\napi_key_file = 3",
            {},
            "user_service.api_key_file: expected the path of a file, found 3",
            id="in no file",
        ),
        pytest.param(
            "",
            {"SIGNAL_USER_SERVICE_API_KEY": ""},
            "SIGNAL_USER_SERVICE_API_KEY in the environment: expected a secret, found an empty text",
            id="empty",
        ),
    ],
)
def test_a_secret_anywhere_else_is_refused_and_not_shown(
    text: str, environment: dict[str, str], expected: str, tmp_path: Path
) -> None:
    message = complaint(tmp_path, text, **environment)

    assert message == expected
    assert "hunter2" not in message
