"""What a gateway can be told: one struct a component, each field with its unit."""

from ipaddress import ip_network
from typing import Annotated, Final

from msgspec import Meta, Struct

from runtime.redis_config import RedisConfig
from runtime.secret import Secret

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]
CLOSING_S: Final = 10.0
"""What is left of a gateway's grace after its drain: the last clients answer, Redis is told."""
Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
PerSecond = Annotated[float, Meta(ge=0, le=1_000_000_000)]
Burst = Annotated[int, Meta(ge=1, le=1_000_000)]


class ListenConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The public port.

    `origins`: pages that may connect, as ``https://example.org``; ``*`` is every page. A client that names no origin
    (a bot) is not judged by it. `subscriptions`: the most of one connection where its plan does not say.
    `reuse_port`: other gateways of this host listen on the same port; the kernel spreads who comes over them.
    """

    host: str = "127.0.0.1"
    port: Port = 8000
    origins: tuple[str, ...] = ()
    subscriptions: Annotated[int, Meta(ge=1, le=100_000)] = 200
    reuse_port: bool = False


class TlsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The paths of a certificate (PEM, with those that vouch for it behind it) and its key (PEM, no passphrase)."""

    certificate: str
    key: str


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


class LimitsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How many may come, and how much each may ask; 0 of a number, or 0 a second, is no limit.

    A burst is what may come at once, before the rate counts. Of one process: `connections`, `handshakes`, and both of
    one address (of IPv6: one network of 64 bits). `trusted_proxies`: addresses and networks whose X-Forwarded-For is
    believed. Of one connection: `commands`, `subscribes` (its plan's number at once at least), `frames` and `bytes`
    that it sends. Of one user, over all gateways: `connects` (its plan's connections at once at least), and
    `connections` where the plan does not say.
    """

    connections: Count = 20_000
    connections_per_address: Count = 500
    handshakes_per_s: PerSecond = 1_000.0
    handshake_burst: Burst = 2_000
    handshakes_per_address_per_s: PerSecond = 20.0
    handshake_burst_per_address: Burst = 500
    trusted_proxies: tuple[str, ...] = ()
    commands_per_s: PerSecond = 20.0
    command_burst: Burst = 200
    subscribes_per_s: PerSecond = 20.0
    subscribe_burst: Burst = 200
    frames_per_s: PerSecond = 50.0
    frame_burst: Burst = 2_000
    bytes_per_s: PerSecond = 32_768.0
    byte_burst: Annotated[int, Meta(ge=262_144, le=1_000_000_000)] = 524_288
    connections_per_user: Count = 0
    connects_per_user_per_s: PerSecond = 1.0
    connect_burst_per_user: Burst = 20

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        for proxy in self.trusted_proxies:
            ip_network(proxy)


NO_LIMITS: Final = LimitsConfig(
    connections=0,
    connections_per_address=0,
    handshakes_per_s=0,
    handshakes_per_address_per_s=0,
    commands_per_s=0,
    subscribes_per_s=0,
    frames_per_s=0,
    bytes_per_s=0,
    connects_per_user_per_s=0,
)
"""For a gateway whose clients are all one's own."""


class DrainConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How a gateway leaves when it is terminated, in seconds.

    It is not ready at once, but serves who comes for `linger_s`, because routers take a while to notice. Then nobody is
    accepted, and clients are closed one by one over `period_s`. Whatever happens, it has ended after `grace_s`.
    """

    linger_s: Annotated[float, Meta(ge=0)] = 10.0
    period_s: Annotated[float, Meta(ge=0)] = 20.0
    grace_s: Seconds = 60.0

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if self.linger_s + self.period_s + CLOSING_S > self.grace_s:
            raise ValueError(
                f"expected linger_s and period_s to end {CLOSING_S:g} s before grace_s, "
                f"found {self.linger_s:g}, {self.period_s:g} and {self.grace_s:g}"
            )


class GatewayConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of a gateway's TOML file."""

    user_service: UserServiceConfig
    redis: RedisConfig = RedisConfig()
    listen: ListenConfig = ListenConfig()
    admin: AdminConfig = AdminConfig()
    timing: TimingConfig = TimingConfig()
    outbox: OutboxConfig = OutboxConfig()
    limits: LimitsConfig = LimitsConfig()
    tls: TlsConfig | None = None
    drain: DrainConfig = DrainConfig()
