"""A deployment to put a load on: gateways over a real Redis, a user service, an engine that is played. Does I/O."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
from msgspec import Struct

from loadtest.dialects import Centrifuge
from loadtest.process import Program, program
from loadtest.target import Address, Target
from runtime.secret import Secret
from standins.redis import RedisServer
from standins.user_service import Limits, TokenRecord, UserServiceStandIn

TOPICS: Final = 16
STEP_MS: Final = 1_000
"""From one bar to the next, as the played engine has it."""
USERS: Final = 100
_KEY: Final = "a key between services"
_READY_S: Final = 30.0
_LOOK_S: Final = 0.05

NO_LIMITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "SIGNAL_LIMITS_CONNECTIONS": "0",
        "SIGNAL_LIMITS_CONNECTIONS_PER_ADDRESS": "0",
        "SIGNAL_LIMITS_HANDSHAKES_PER_S": "0",
        "SIGNAL_LIMITS_HANDSHAKES_PER_ADDRESS_PER_S": "0",
        "SIGNAL_LIMITS_CONNECTS_PER_USER_PER_S": "0",
    }
)
"""All clients of a swarm come from one address, and share a few users."""


class Totals(Struct, frozen=True):
    """What the played engine has published since its beginning.

    The finals of every channel are of the bars from `first_ms` to `newest_ms`, STEP_MS apart. `late_s`: by how much the
    newest round came later than it should have.
    """

    rounds: int
    publications: int
    first_ms: int
    newest_ms: int
    late_s: float


class Publisher:
    """The played engine."""

    def __init__(self, engine: Program) -> None:
        self._engine = engine

    async def compute(self, channels: Sequence[str]) -> Totals:
        """Compute these from now on."""
        return await self._ask("compute", channels=channels)

    async def play(self, rounds: int, rounds_per_s: float = 0, *, finals_every: int = 0, size_bytes: int = 0) -> Totals:
        """Publish on all channels in each round, as often; 0 a second: as fast as Redis takes it."""
        return await self._ask(
            "go", rounds=rounds, rounds_per_s=rounds_per_s, finals_every=finals_every, size_bytes=size_bytes
        )

    async def start(self, rounds_per_s: float, *, finals_every: int = 0, size_bytes: int = 0) -> Totals:
        """Do so until it is stopped."""
        return await self._ask("go", rounds_per_s=rounds_per_s, finals_every=finals_every, size_bytes=size_bytes)

    async def stop(self) -> Totals:
        """Stop, and tell."""
        return await self._ask("stop")

    async def _ask(self, kind: str, **what: object) -> Totals:
        answer = await self._engine.tell(msgspec.json.encode({"type": kind, **what}))
        return msgspec.json.decode(answer, type=Totals)


class Gateway:
    """One gateway process."""

    def __init__(self, running: Program, address: Address, admin: str) -> None:
        self.program = running
        self.address = address
        self.admin = admin

    async def ready(self) -> None:
        """Wait until it says that it is. Raises TimeoutError."""
        async with asyncio.timeout(_READY_S), aiohttp.ClientSession() as session:
            while True:
                async with session.get(f"{self.admin}/ready") as response:
                    if response.status == 200:
                        return
                await asyncio.sleep(_LOOK_S)

    async def metrics(self) -> dict[str, float]:
        """Its metrics, by name with labels."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.admin}/metrics") as response:
            lines = (await response.text()).splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}


class Deployment(Struct, frozen=True):
    """What a load test may touch."""

    gateways: Sequence[Gateway]
    publisher: Publisher
    engine: Program
    users: UserServiceStandIn

    def target(self, data: Mapping[str, object] | None = None) -> Target:
        """All gateways, in turn; `data` goes with every subscribe."""
        return Target(tuple(gateway.address for gateway in self.gateways), self.dialect(data))

    @staticmethod
    def dialect(data: Mapping[str, object] | None = None) -> Centrifuge:
        """How their clients speak."""
        return Centrifuge(tokens(), {} if data is None else data)


def tokens() -> tuple[str, ...]:
    """The tokens of the users."""
    return tuple(f"load-{i}" for i in range(USERS))


def bars(symbols: int) -> tuple[str, ...]:
    """The channels of so many symbols."""
    return tuple(f"bars:LOAD:S{i:05}@1s" for i in range(symbols))


@asynccontextmanager
async def deployment(
    channels: Sequence[str],
    *,
    gateways: int = 1,
    settings: Mapping[str, str] | None = None,
    cores: tuple[int | None, int | None] = (None, None),
) -> AsyncIterator[Deployment]:
    """Run one that computes `channels`, from entering to leaving.

    `settings`: variables of the gateways' environment, beside NO_LIMITS. `cores`: that of the gateways, and that of
    all others.
    """
    async with AsyncExitStack() as exits:
        directory = Path(exits.enter_context(TemporaryDirectory(prefix="loadtest-")))
        redis = await exits.enter_async_context(RedisServer())
        records = {
            token: TokenRecord(sub=token, channels=("*",), limits=Limits(subscriptions=1000)) for token in tokens()
        }
        users = await exits.enter_async_context(UserServiceStandIn(records, api_key=Secret(_KEY)))
        environment = {
            **NO_LIMITS,
            "INTERNAL_API_KEY": _KEY,
            "SIGNAL_REDIS_URL": redis.url,
            "SIGNAL_REDIS_TOPICS": str(TOPICS),
            "SIGNAL_USER_SERVICE_URL": users.url,
            "SIGNAL_LISTEN_PORT": "0",
            "SIGNAL_LISTEN_ORIGINS": "*",
            "SIGNAL_ADMIN_PORT": "0",
            **(settings or {}),
        }
        core, other = cores
        played = (sys.executable, "-m", "signal_service.bench.played", "--redis", redis.url, "--topics", str(TOPICS))
        engine = await exits.enter_async_context(program("engine", played, directory, core=other))
        await engine.line_after("ready")
        publisher = Publisher(engine)
        await publisher.compute(channels)
        running = [
            await exits.enter_async_context(_gateway(f"gateway{i}", directory, environment, core))
            for i in range(gateways)
        ]
        for gateway in running:
            await gateway.ready()
        yield Deployment(running, publisher, engine, users)


@asynccontextmanager
async def _gateway(
    name: str, directory: Path, environment: Mapping[str, str], core: int | None
) -> AsyncIterator[Gateway]:
    command = (sys.executable, "-m", "signal_service", "gateway")
    async with program(name, command, directory, core=core, environment=environment) as running:
        url = urlsplit(await running.line_after("gateway at "))
        admin = await running.line_after("admin at ")
        yield Gateway(running, Address(url.hostname or "", url.port or 0), admin)
