"""Websocket handshakes with a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.routing import WebSocketRoute
from tests.servers.running import serving_asgi
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.starlette import current_user, login_required
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.websockets import WebSocket

OURS = "__Host-session="
PATIENCE = 60
"""Seconds after which a test that hangs is one that fails."""
DUE = 1800
"""Seconds; half of the default lifetime."""


class Greeter(WebSocketEndpoint):
    """Says the name to users with the scope, and nothing to anybody else."""

    encoding = "text"

    @login_required(scopes=["chat"])
    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(current_user(websocket).display_name)

    async def on_receive(self, websocket: WebSocket, data: str) -> None:
        await websocket.send_text(f"heard {data}")


class Chat(NamedTuple):
    address: str
    manager: SessionManager
    clock: ManualClock

    def token(self, *scopes: str) -> str:
        token = self.manager.create_session("alice", existing="new", scopes=scopes)
        assert token is not None
        return token

    def connect(self, *headers: tuple[str, str]) -> ClientConnection:
        return connect(f"ws://{self.address}/", additional_headers=headers, proxy=None)


@pytest.fixture
def chat() -> Iterator[Chat]:
    clock = ManualClock()
    manager = SessionManager(clock=clock)
    app = SessionAuthMiddleware(Starlette(routes=[WebSocketRoute("/", Greeter)]), manager)
    with serving_asgi(app) as address:
        yield Chat(address, manager, clock)


def test_the_answer_to_a_handshake_carries_the_rotated_cookie(chat: Chat) -> None:
    token = chat.token("chat")
    chat.clock.advance(DUE)
    with chat.connect(("Cookie", OURS + token)) as websocket:
        assert websocket.recv() == "alice"
        websocket.send("hello")
        assert websocket.recv() == "heard hello"
        assert websocket.response is not None
        (ours,) = websocket.response.headers.get_all("Set-Cookie")
        assert websocket.response.headers["Cache-Control"] == "no-store"
    successor = ours.partition(";")[0]
    assert successor not in {OURS + token, OURS}
    with chat.connect(("Cookie", successor)) as websocket:
        assert websocket.recv() == "alice"


def test_a_websocket_closes_when_its_session_ends(chat: Chat) -> None:
    token = chat.token("chat")
    with chat.connect(("Cookie", OURS + token)) as websocket:
        assert websocket.recv() == "alice"
        websocket.send("hello")
        assert websocket.recv() == "heard hello"
        chat.manager.invalidate_session(token)
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "session ended")
    with pytest.raises(InvalidStatus), chat.connect(("Cookie", OURS + token)):
        pass


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 401),
        ([("Cookie", "{reader}")], 403),
        ([("Cookie", "{chatter}"), ("Origin", "https://elsewhere.example")], 403),
        ([("Cookie", "{chatter}"), ("Cookie", "{reader}")], 400),
        ([("Authorization", "Bearer forged")], 401),
        ([("Authorization", "Bearer x y")], 400),
    ],
)
def test_a_refused_handshake_tells_the_status(
    chat: Chat, headers: list[tuple[str, str]], status: int
) -> None:
    cookies = {"reader": OURS + chat.token("read"), "chatter": OURS + chat.token("chat")}
    fields = [(name, value.format(**cookies)) for name, value in headers]
    with pytest.raises(InvalidStatus) as refused, chat.connect(*fields):
        pass
    assert refused.value.response.status_code == status
    assert refused.value.response.headers["Vary"] == "Cookie, Authorization"


@pytest.mark.parametrize("others", [(), ("chat",)])
def test_a_browser_may_bring_a_bearer_token_as_a_subprotocol(
    chat: Chat, others: tuple[str, ...]
) -> None:
    """``new WebSocket(url, ["sessiongate.bearer", token])``: it would hang up without an answer."""
    offered = [Subprotocol(word) for word in ("sessiongate.bearer", chat.token("chat"), *others)]
    with connect(
        f"ws://{chat.address}/",
        subprotocols=offered,
        origin=Origin("https://elsewhere.example"),
        proxy=None,
    ) as websocket:
        assert websocket.recv() == "alice"
        assert websocket.subprotocol == "sessiongate.bearer"
