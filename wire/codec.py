"""The seam between the messages of the client protocol and the forms in which they are written. Pure; no I/O."""

from typing import Protocol

from wire.client_messages import Command, Reply


class Codec(Protocol):
    """One form of the client protocol: a module of this package is one."""

    @property
    def PING(self) -> bytes:  # noqa: N802 - a constant of a module
        """The message that asks whether the other side is there; the answer to it is the same."""

    def split(self, frame: bytes, /) -> list[bytes]:
        """The commands in one frame, in order, each as it was sent. Raises MessageError when there is none."""

    def decode(self, line: bytes, /) -> Command:
        """One command of those that `split` gives. Raises MessageError for anything that is none."""

    def encode_reply(self, reply: Reply, /) -> bytes:
        """One reply. A refusal always carries its code and message."""

    def encode_channel(self, channel: str, /) -> bytes:
        """A channel as a client spelled it, as the other methods take it."""

    def encode_publication(self, channel: bytes, payload: bytes, offset: int, /) -> bytes:
        """A publication push; offset 0 is none. `payload` is compact JSON, taken as it is."""

    def encode_unsubscribe(self, channel: bytes, code: int, reason: str, /) -> bytes:
        """An unsubscribe push."""
