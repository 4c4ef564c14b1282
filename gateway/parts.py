"""What all connections of one gateway share. No I/O of its own."""

import asyncio
from dataclasses import dataclass

from gateway.clients import Clients
from gateway.directory import Directory
from gateway.metrics import GatewayMetrics
from gateway.relay import Relay
from gateway.round import Round
from gateway.user_service import UserService
from runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Parts:
    """What every connection of a gateway works with."""

    relay: Relay
    round: Round
    clients: Clients
    metrics: GatewayMetrics
    users: UserService
    directory: Directory
    clock: Clock
    tasks: asyncio.TaskGroup
    topics: int
