"""The address of the bus: read, checked, and never with a password where somebody may see it."""

import pytest

from runtime.errors import ConfigError
from runtime.redis_config import RedisConfig, server_url
from runtime.secret import Secret


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
        ("redis://bus.internal", "redis://bus.internal:6379"),
        ("redis://bus:7000/3", "redis://bus:7000/3"),
        ("rediss://[::1]:6380", "rediss://[::1]:6380"),
        ("redis://engine@bus:6379", "redis://engine@bus:6379"),
    ],
)
def test_an_address_is_taken_as_it_is(url: str, address: str) -> None:
    assert server_url(RedisConfig(url=url)) == address


def test_the_password_joins_the_address_in_a_form_that_cannot_break_it() -> None:
    config = RedisConfig(url="redis://engine@bus:6379/1", password=Secret("p@ss/w:rd"))
    assert server_url(config) == "redis://engine:p%40ss%2Fw%3Ard@bus:6379/1"
    assert "p@ss" not in repr(config)
    assert server_url(RedisConfig(url="redis://bus", password=Secret("x"))) == "redis://:x@bus:6379"


@pytest.mark.parametrize("url", ["http://bus", "bus:6379", "redis://", "redis://bus:port", "memory://", ""])
def test_another_address_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^redis\.url: expected redis://"):
        server_url(RedisConfig(url=url))


def test_a_password_in_the_address_is_refused_without_being_told() -> None:
    with pytest.raises(ConfigError, match=r"SIGNAL_REDIS_PASSWORD") as refused:
        server_url(RedisConfig(url="redis://:hunter2@bus"))
    assert "hunter2" not in str(refused.value)
