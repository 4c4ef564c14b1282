"""How one client is written to: a codec, and the frames that carry its messages. Pure; no I/O."""

from functools import lru_cache
from typing import Final

from msgspec import Struct
from websockets.frames import Frame, Opcode

from wire import codec_json, codec_protobuf
from wire.close import Unsubscribe
from wire.codec import Codec


class Form(Struct, frozen=True, eq=False):
    """A codec in the frames that it takes, under the name by which clients ask for it."""

    subprotocol: str
    opcode: Opcode
    codec: Codec

    def frame(self, message: bytes) -> bytes:
        """One unmasked frame: the same bytes for every subscriber."""
        return Frame(self.opcode, message).serialize(mask=False)

    @property
    def ping(self) -> bytes:
        """The frame that asks whether the client is there."""
        return self.frame(self.codec.PING)


JSON: Final = Form("centrifuge-json", Opcode.TEXT, codec_json)
PROTOBUF: Final = Form("centrifuge-protobuf", Opcode.BINARY, codec_protobuf)


class Spelling(Struct, frozen=True):
    """A channel as some clients write it and in the form that they read: what they get of it is the same bytes."""

    form: Form
    channel: bytes

    def publication(self, payload: bytes, offset: int) -> bytes:
        """The frame of a publication; offset 0 is none."""
        return self.form.frame(self.form.codec.encode_publication(self.channel, payload, offset))

    def unsubscribe(self, reason: Unsubscribe) -> bytes:
        """The frame of an unsubscribe push."""
        return self.form.frame(self.form.codec.encode_unsubscribe(self.channel, reason.code, reason.reason))


@lru_cache(maxsize=4096)
def spell(form: Form, name: str) -> Spelling:
    """The spelling of a channel's name in a form; the same one for all, as far as they are remembered."""
    return Spelling(form, form.codec.encode_channel(name))
