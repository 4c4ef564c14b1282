"""Scenario: what a load test does, as a TOML file says it. Reads files; nothing else."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from loadtest.errors import ScenarioError
from runtime.config import ConfigError, convert_table, read_toml

Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Positive = Annotated[int, Meta(ge=1, le=1_000_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Ratio = Annotated[float, Meta(ge=0, le=1)]


class Publishing(Struct, frozen=True, forbid_unknown_fields=True):
    """A value on every channel in each round: a final in every `finals_every`-th (0: never), live ones in the others.

    A payload is `size_bytes` at least.
    """

    rounds_per_s: Annotated[float, Meta(gt=0, le=10_000)] = 10.0
    finals_every: Count = 5
    size_bytes: Annotated[int, Meta(ge=0, le=60_000)] = 0


class Stalling(Struct, frozen=True, forbid_unknown_fields=True):
    """A share of the clients reads nothing once they are subscribers; every `again_s` they are cut, and come anew.

    `receive_buffer_bytes` of their sockets: what their systems take for them.
    """

    ratio: Ratio
    again_s: Seconds = 15.0
    receive_buffer_bytes: Annotated[int, Meta(ge=1024)] = 4096


class Churn(Struct, frozen=True, forbid_unknown_fields=True):
    """A share of the clients is cut at once, every so often; they come back with the backoff of an SDK."""

    ratio: Ratio
    every_s: Seconds = 5.0


class Drain(Struct, frozen=True, forbid_unknown_fields=True):
    """The first gateway, which has all clients, is terminated after `after_s`; they come back to the others."""

    after_s: Seconds = 5.0


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """A load test.

    Each of `clients` is a run of its own, of `run_s`: clients with `channels_per_client` of `channels` each, held by
    `processes`; and `witnesses`, which judge every final. `judging`: so do all clients. `max_rate` of live values for
    each subscription, None: all of them. `settings`: variables of the gateways' environment.
    """

    title: str
    clients: Annotated[tuple[Positive, ...], Meta(min_length=1)]
    run_s: Seconds = 10.0
    gateways: Annotated[int, Meta(ge=1, le=16)] = 1
    processes: Annotated[int, Meta(ge=1, le=64)] = 1
    channels: Positive = 1
    channels_per_client: Positive = 1
    witnesses: Count = 5
    judging: bool = False
    max_rate: Annotated[float, Meta(gt=0)] | None = None
    publishing: Publishing = Publishing()
    stalling: Stalling | None = None
    churn: Churn | None = None
    drain: Drain | None = None
    settings: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if self.channels_per_client > self.channels:
            raise ValueError(f"expected channels_per_client up to {self.channels}, found {self.channels_per_client}")
        if self.drain is not None and self.gateways < 2:
            raise ValueError("expected two gateways at least, one for who comes back from the drain, found 1")
        if self.drain is not None and len(self.clients) > 1:
            raise ValueError("expected one number of clients for a drain, which ends a gateway")

    @property
    def can_compare(self) -> bool:
        """Whether servers that only send the same to everybody can do it too."""
        special = (self.stalling, self.churn, self.drain, self.max_rate)
        return self.channels == 1 and all(each is None for each in special)


def load_scenario(path: Path) -> Scenario:
    """Read a file. Raises ScenarioError with the path of the first fault, what was expected and what was found."""
    try:
        return convert_table(Scenario, read_toml(path), str(path))
    except ConfigError as error:
        raise ScenarioError(str(error)) from None
