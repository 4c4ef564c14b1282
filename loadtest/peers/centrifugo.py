"""Centrifugo in a process of its own, from a program that somebody has. Does I/O."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import aiohttp

from loadtest.peers.processor import on_core
from standins.server_process import HOST, ServerProcess

CHANNEL: Final = "bars-DEMO-S01@1m"
"""As long as one of ours, without the colon by which it would look for a namespace."""
_HISTORY: Final = 1_000


class Centrifugo(ServerProcess):
    """A server with its broker in memory, on one core (None: on all), that anybody may connect and publish to.

    Its channels keep a history, and subscribers can recover, as ours.
    """

    def __init__(self, program: Path, core: int | None) -> None:
        super().__init__("centrifugo", port=None, directory=None)
        self._program = program
        self._core = core

    async def _prepare(self) -> None:
        """Nothing comes before: the file names the port, and is written with the command."""

    def _command(self) -> Sequence[str]:
        settings = self._directory / "centrifugo.json"
        settings.write_text(json.dumps(_settings(self.port)), encoding="utf-8")
        command = (str(self._program.resolve()), "--config", str(settings))
        threads = "GOMAXPROCS=1" if self._core is not None else "GOMAXPROCS="
        return ("/usr/bin/env", threads, *on_core(self._core, command))

    async def _answers(self, pid: int) -> bool:  # noqa: ARG002 - its port is in no other's range
        with contextlib.suppress(aiohttp.ClientError):
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{HOST}:{self.port}/health") as response,
            ):
                return response.status == 200
        return False


def _settings(port: int) -> object:
    return {
        "http_server": {"address": HOST, "port": port},
        "http_api": {"insecure": True},
        "health": {"enabled": True},
        "usage_stats": {"disabled": True},
        "log": {"level": "error"},
        # No pings: it may send one together with a publication, which a swarm does not tell apart.
        "client": {"insecure": True, "allowed_origins": ["*"], "ping_interval": "-1s", "pong_timeout": "-2s"},
        "channel": {
            "without_namespace": {
                "history_size": _HISTORY,
                "history_ttl": "300s",
                "force_positioning": True,
                "force_recovery": True,
                "allow_subscribe_for_client": True,
                "allow_subscribe_for_anonymous": True,
            }
        },
    }
