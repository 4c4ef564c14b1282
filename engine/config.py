"""What an engine can be told: one struct a component, each field with its unit."""

from typing import Annotated

from msgspec import Meta, Struct

from runtime.redis_config import RedisConfig

Port = Annotated[int, Meta(ge=0, le=65535)]


class AdminConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The operators' port; never public."""

    host: str = "127.0.0.1"
    port: Port = 8002


class FeedConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where ticks come from, as on the command line: ``synthetic:rate=200``, ``replay:FILE``."""

    feed: str


class EngineConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of an engine's TOML file."""

    feeds: tuple[FeedConfig, ...]
    redis: RedisConfig = RedisConfig()
    admin: AdminConfig = AdminConfig()
