import msgspec
import pytest

from wire.asking import Answer, Ask, AskingError, decode_answer, decode_ask, decode_wanted, encode
from wire.envelope import ClosedValue

ASK = Ask(7, "sig:{3}:reply:gateway", "history", "bars:DEMO:S01@1m", 300)
ANSWER = Answer(7, values=(ClosedValue(60_000, b'{"v":1}'), ClosedValue(120_000, bytes(range(256)))))


def test_questions_and_answers_come_back_as_they_were() -> None:
    assert decode_ask(encode(ASK)) == ASK
    assert decode_answer(encode(ANSWER)) == ANSWER
    assert decode_answer(encode(Answer(1, warming=True))) == Answer(1, warming=True)
    for temporary in (False, True):
        refused = Answer(1, refused="no memory", temporary=temporary)
        assert decode_answer(encode(refused)) == refused


def test_what_is_wanted_is_a_list_of_channels() -> None:
    assert decode_wanted(msgspec.msgpack.encode(["bars:DEMO:S01@1m", "x"])) == ("bars:DEMO:S01@1m", "x")


def test_fields_have_names_so_that_versions_may_add_some() -> None:
    ask = msgspec.msgpack.decode(encode(ASK))
    assert decode_ask(msgspec.msgpack.encode(ask | {"reverse": True})) == ASK
    assert ask == {
        "id": 7,
        "reply_to": "sig:{3}:reply:gateway",
        "kind": "history",
        "channel": "bars:DEMO:S01@1m",
        "limit": 300,
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        encode(ASK)[:-1],
        msgspec.msgpack.encode({"id": "7"}),
        b"\x82\xa2id\x07\xa7refused\xa1\xff",
        b"\x91\xa1\xff",
        b"\x91" * 100_000,
    ],
)
def test_other_bytes_are_an_error(data: bytes) -> None:
    with pytest.raises(AskingError):
        decode_ask(data)
    with pytest.raises(AskingError):
        decode_answer(data)
    with pytest.raises(AskingError):
        decode_wanted(data)


def test_a_kind_of_question_that_is_not_known_is_an_error() -> None:
    with pytest.raises(AskingError):
        decode_ask(msgspec.msgpack.encode({"id": 7, "kind": "explode", "channel": "x", "reply_to": "y"}))
