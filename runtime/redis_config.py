"""What a process can be told of the Redis server that is its bus. Pure; no I/O."""

from typing import Annotated, Final
from urllib.parse import quote, urlsplit

from msgspec import Meta, Struct

from runtime.errors import ConfigError
from runtime.secret import Secret

MEMORY: Final = "memory://"
"""A bus of one process alone."""

_SCHEMES: Final = ("redis", "rediss")


class RedisConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The bus.

    `url`: ``redis://host:port/db``, ``rediss://`` with TLS, or ``memory://``, a bus of this process alone; a user name
    may stand in it, the `password` never: it comes from the environment or a file. `prefix` begins every key.
    `topics` is fixed for a deployment's life; all its engines and gateways have the same.
    """

    url: str = "redis://127.0.0.1:6379"
    password: Secret | None = None
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:-]*$", max_length=64)] = "sig:"
    topics: Annotated[int, Meta(ge=1, le=4096)] = 64


def server_url(config: RedisConfig) -> str:
    """The address of the server with its password in it: a secret. Raises ConfigError."""
    try:
        parts = urlsplit(config.url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise ConfigError(f"redis.url: expected redis://host:port, found one that is none: {error}") from None
    if parts.password is not None:
        raise ConfigError("redis.url: expected no password in it, but in SIGNAL_REDIS_PASSWORD or redis.password_file")
    if parts.scheme not in _SCHEMES or not host:
        found = f"{parts.scheme}://{host or ''}"
        raise ConfigError(f"redis.url: expected redis://, rediss:// or {MEMORY} with a host, found {found!r}")
    user = quote(parts.username or "", safe="")
    login = "" if config.password is None else f"{user}:{quote(config.password.reveal(), safe='')}@"
    if not login and user:
        login = f"{user}@"
    address = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{login}{address}:{port or 6379}{parts.path}"
