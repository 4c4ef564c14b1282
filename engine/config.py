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


class SnapshotsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where an engine keeps what it has computed, so that the next one goes on from there; nowhere by default.

    ``directory`` is made if it is missing; ``period_s`` is how often, beside when it stops.
    """

    directory: str | None = None
    period_s: Annotated[float, Meta(gt=0)] = 300.0


class ComputingConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What computing may cost: ``memory_mib`` is for expressions, ``history_mib`` for the closed bars of a venue."""

    memory_mib: Annotated[int, Meta(ge=1)] = 1024
    history_mib: Annotated[int, Meta(ge=1)] = 512


class EngineConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of an engine's TOML file."""

    feeds: tuple[FeedConfig, ...]
    redis: RedisConfig = RedisConfig()
    admin: AdminConfig = AdminConfig()
    computing: ComputingConfig = ComputingConfig()
    snapshots: SnapshotsConfig = SnapshotsConfig()
