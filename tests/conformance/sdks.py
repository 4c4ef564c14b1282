"""The official SDKs in both codecs: every conformance test runs with each of the four."""

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final, Protocol

import pytest

from tests.conformance.javascript_client import JavaScriptClient
from tests.conformance.official_client import OfficialClient
from tests.conformance.python_client import PythonClient


class Sdk(Protocol):
    """An SDK in one codec: opens a client of it."""

    def __call__(
        self, url: str, token: str | None = None, next_token: str | None = None
    ) -> AbstractAsyncContextManager[OfficialClient]:
        """A client that is not connected yet."""


ALL: Final[dict[str, Sdk]] = {
    "python": PythonClient,
    "python-protobuf": partial(PythonClient, protobuf=True),
    "javascript": JavaScriptClient,
    "javascript-protobuf": partial(JavaScriptClient, protobuf=True),
}
SDKS: Final = pytest.mark.parametrize("sdk", ALL.values(), ids=ALL)
