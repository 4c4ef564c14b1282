"""An operator at the admin port of a gateway that runs as a command."""

import os
import signal
from pathlib import Path

import aiohttp

from tests.system.commands import serving

KEY = "a key between services"


async def test_the_admin_port_of_a_gateway_takes_orders_with_the_key_only(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text('[redis]\nurl = "memory://"\n[listen]\nport = 0\n[admin]\nport = 0\n')
    environment = {**os.environ, "INTERNAL_API_KEY": KEY}
    async with serving("gateway", "--config", str(config), environment=environment) as gateway:
        address = (await gateway.line("admin at")).split()[-1]
        async with aiohttp.ClientSession(f"{address}/") as http:
            for key, status in (("another", 401), (KEY, 200)):
                headers = {"X-Internal-API-Key": key}
                async with http.post("api/v1/disconnect", json={"sub": "42"}, headers=headers) as response:
                    assert response.status == status
        await gateway.end(signal.SIGINT)
