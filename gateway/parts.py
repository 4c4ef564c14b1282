"""What all connections of one gateway share. No I/O of its own."""

import asyncio
from dataclasses import dataclass

from gateway.admission import Admission
from gateway.clients import Clients
from gateway.command_rates import ConnectionRates
from gateway.directory import Directory
from gateway.holders import Holders
from gateway.metrics import GatewayMetrics
from gateway.relay import Relay
from gateway.round import Round
from gateway.user_limits import UserLimits
from gateway.user_service import UserService
from runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Parts:
    """What every connection of a gateway works with."""

    relay: Relay
    round: Round
    clients: Clients
    admission: Admission
    rates: ConnectionRates
    metrics: GatewayMetrics
    users: UserService
    holders: Holders
    user_limits: UserLimits
    directory: Directory
    clock: Clock
    tasks: asyncio.TaskGroup
    topics: int
