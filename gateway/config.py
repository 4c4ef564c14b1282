"""What a gateway can be told: one struct a component, each field with its unit."""

from typing import Annotated

from msgspec import Meta, Struct

from runtime.redis_config import RedisConfig
from runtime.secret import Secret

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]


class ListenConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The public port.

    `origins`: pages that may connect, as ``https://example.org``; ``*`` is every page. A client that names no origin
    (a bot) is not judged by it. `subscriptions`: the most of one connection where its plan does not say.
    """

    host: str = "127.0.0.1"
    port: Port = 8000
    origins: tuple[str, ...] = ()
    subscriptions: Annotated[int, Meta(ge=1, le=100_000)] = 200


class AdminConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The operators' port; never public."""

    host: str = "127.0.0.1"
    port: Port = 8001


class UserServiceConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where tokens are introspected. `api_key` is INTERNAL_API_KEY of the environment; `timeout_s` is for one try."""

    api_key: Secret
    url: str = "http://127.0.0.1:8100"
    timeout_s: Seconds = 1.0


class TimingConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The waits of a connection, in seconds.

    A ping is sent every `ping_s` and has to be answered within `pong_s`, which is less.
    """

    connect_s: Seconds = 10.0
    ping_s: Annotated[int, Meta(ge=1, le=3600)] = 10
    pong_s: Seconds = 8.0

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if self.pong_s >= self.ping_s:
            raise ValueError(f"expected pong_s under ping_s, found {self.pong_s:g} and {self.ping_s}")


class OutboxConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What may wait for a reader that is slower than what it is sent; above it the reader is dropped.

    `queue_bytes`: finals, replies and pushes that wait, and what one round may write. `oldest_s`: how long one of them
    may wait. `stalled_s`: how long the reader may accept no byte while there is one for it.
    """

    queue_bytes: Annotated[int, Meta(ge=4096)] = 256 * 1024
    oldest_s: Seconds = 5.0
    stalled_s: Seconds = 5.0


class GatewayConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of a gateway's TOML file."""

    user_service: UserServiceConfig
    redis: RedisConfig = RedisConfig()
    listen: ListenConfig = ListenConfig()
    admin: AdminConfig = AdminConfig()
    timing: TimingConfig = TimingConfig()
    outbox: OutboxConfig = OutboxConfig()
