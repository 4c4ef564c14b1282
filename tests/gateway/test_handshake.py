"""What is granted without the library is what the library grants, with the same answer."""

from base64 import b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.http11 import Request
from websockets.server import ServerProtocol

from gateway.handshake import accept
from gateway.websocket import WebSocket

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PLAIN = {"Host": "h", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
PLAIN |= {"Sec-WebSocket-Key": KEY}
PAGES = ("https://example.org", "https://example.com")
Headers = list[tuple[str, str]]


def head(*headers: tuple[str, str], target: str = "/connection/websocket") -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode()


def plain(target: str = "/connection/websocket", **other: str | None) -> bytes:
    """An ordinary head, with some headers in place of others; None: without."""
    headers: dict[str, str | None] = {**PLAIN, **{name.replace("_", "-"): value for name, value in other.items()}}
    return head(*((name, value) for name, value in headers.items() if value is not None), target=target)


def field(name: str, *values: str) -> st.SearchStrategy[Headers]:
    """A header that is right most of the time; absent, twice or otherwise sometimes."""
    right = st.just([(name, values[0])])
    other = st.lists(st.tuples(st.sampled_from([name, name.lower()]), st.sampled_from(values)), max_size=2)
    return st.one_of(right, right, right, other)


HEADERS = st.tuples(
    field("Upgrade", "websocket", "WebSocket", "h2c", "websocket, h2c", ""),
    field("Connection", "Upgrade", "keep-alive, Upgrade", "upgrade ,x", "keep-alive", ",", "", "up grade"),
    field("Sec-WebSocket-Version", "13", "8", "", "13, 8"),
    field("Sec-WebSocket-Key", KEY, KEY[:-1], "A" * 22 + "==", "AB==", KEY[:-3] + "R==", "", "é"),
    field("Origin", PAGES[0], PAGES[1], "https://evil.example", "null", ""),
    field("Sec-WebSocket-Protocol", "centrifuge-json", "x, centrifuge-protobuf, centrifuge-json", "x", "", ",", "a b"),
    field("Authorization", "Bearer t", "Basic x", ""),
    st.sampled_from([[], [("Sec-WebSocket-Extensions", "permessage-deflate")], [("X-Upgrade", "no")]]),
).map(lambda fields: [header for each in fields for header in each])


@given(HEADERS, st.sampled_from([None, PAGES, ()]))
@example(list(PLAIN.items()), None)
def test_what_is_granted_is_what_the_library_grants(headers: Headers, origins: tuple[str, ...] | None) -> None:
    data = head(*headers)
    granted = accept(data, origins, {"centrifuge-json", "centrifuge-protobuf"})
    if granted is None:
        return
    library = ServerProtocol(
        origins=None if origins is None else [*origins, None],  # type: ignore[list-item]
        select_subprotocol=lambda _, offered: next((o for o in offered if o.startswith("centrifuge-")), None),
    )
    library.receive_data(data)
    (request,) = library.events_received()
    assert isinstance(request, Request)
    if request.headers.get_all("Sec-WebSocket-Protocol") == [""]:
        del request.headers["Sec-WebSocket-Protocol"]
    response = library.accept(request)
    assert response.status_code == 101
    del response.headers["Date"]
    assert response.serialize().lower() == granted.answer.lower()
    assert granted.subprotocol == library.subprotocol
    assert granted.target == request.path
    assert ([] if granted.authorization is None else [granted.authorization]) == request.headers.get_all(
        "Authorization"
    )


@pytest.mark.parametrize(
    "ordinary",
    [
        plain(),
        plain(Connection="keep-alive, Upgrade", Origin=PAGES[0]),
        plain(Sec_WebSocket_Protocol=""),
        plain(Sec_WebSocket_Protocol="centrifuge-json"),
        plain(Authorization="Bearer t", Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"),
        plain(Sec_WebSocket_Key=b64encode(bytes(16)).decode()),
    ],
)
def test_what_clients_send_is_granted_at_once(ordinary: bytes) -> None:
    assert accept(ordinary, PAGES, {"centrifuge-json"}) is not None


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        (plain(Sec_WebSocket_Version="8"), 400),
        (plain(Sec_WebSocket_Key="short"), 400),
        (plain(Sec_WebSocket_Key=None), 400),
        (plain(Connection="keep-alive"), 426),
        (plain(Origin="https://evil.example"), 403),
        (plain(Sec_WebSocket_Protocol="a b"), 400),
    ],
)
def test_what_is_refused_is_refused_by_the_library(odd: bytes, status: int) -> None:
    socket = WebSocket(PAGES)
    assert socket.receive(odd) == []
    assert socket.greeted
    assert not socket.open
    assert b"".join(socket.data_to_send()).startswith(b"HTTP/1.1 %d " % status)


def test_an_odd_request_that_is_right_is_granted_by_the_library() -> None:
    socket = WebSocket(PAGES)
    odd = head(*PLAIN.items(), ("Connection", "keep-alive"), ("Authorization", "a"), ("Authorization", "b"))
    assert socket.receive(odd) == []
    assert socket.open
    assert socket.authorization == ("a", "b")
    assert b"".join(socket.data_to_send()).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("query", ["cf_protocol=protobuf", "x=1&format=protobuf"])
def test_the_answer_comes_first_and_once_and_the_form_is_what_the_client_wants(query: str) -> None:
    socket = WebSocket(None)
    socket.receive(plain(f"/connection/websocket?{query}"))
    assert socket.open
    assert socket.form.subprotocol == "centrifuge-protobuf"
    (answer,) = socket.data_to_send()
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert socket.data_to_send() == []


def test_the_answer_goes_before_what_the_library_answers() -> None:
    socket = WebSocket(None)
    socket.receive(plain())
    socket.receive(b"\x89\x80\x00\x00\x00\x00")
    answer, pong = socket.data_to_send()
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert pong == b"\x8a\x00"


def test_a_head_that_comes_in_pieces_is_granted_too() -> None:
    socket, data = WebSocket(None), plain()
    for at in range(len(data)):
        socket.receive(data[at : at + 1])
    assert socket.open
    assert socket.frames == 1
