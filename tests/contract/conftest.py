"""Every bus passes the contract: one fixture gives each of them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.contract.pair import Owner, Pair, in_memory, over_redis


@pytest_asyncio.fixture(params=[in_memory, over_redis])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    async with request.param() as pair:
        yield pair


@pytest.fixture
def owner() -> Owner:
    return Owner()
