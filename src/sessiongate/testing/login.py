"""Clients that are logged in: with a real session, opened as a login view would do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessiongate.core.arguments import check_choice
from sessiongate.errors import ConfigurationError
from sessiongate.http.request_session import RequestSession
from sessiongate.http.token_reader import TRANSPORTS
from sessiongate.testing._clients import seats_of
from sessiongate.testing._search import gate_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sessiongate.core.operations import Granted
    from sessiongate.core.steps import Flow
    from sessiongate.http.authenticator import RequestAuthenticator
    from sessiongate.http.cookies import SessionCookie
    from sessiongate.http.token_reader import Transport
    from sessiongate.managers import SessionManager
    from sessiongate.testing._clients import Seat

__all__ = ["Login", "alogin_as", "login_as"]


def login_as(  # noqa: PLR0913 - one keyword for each rule
    client: Any,
    username: str,
    *,
    scopes: Iterable[str] = (),
    claims: Mapping[str, Any] | None = None,
    device: Any = None,
    transport: Transport = "cookie",
    manager: SessionManager | None = None,
    cookie: SessionCookie | None = None,
    base_url: str | None = None,
) -> Login:
    """Log a client in, without a login page and a password.

    Nothing is faked: a session of its own is opened in the manager's store, the
    client keeps the token as it would keep the server's, and each request is
    judged by the middleware. Rotations and logouts are followed as ever. Who
    was logged in on this client before is forgotten by it; the session lives on.

    Blocks for one store call; in async tests await ``alogin_as``.

    Args:
        client: ``app.test_client()`` of Flask, a ``werkzeug.test.Client``, the
            ``TestClient`` of Starlette and FastAPI, or an ``httpx`` client.
        username: As in ``create_session``, like the next three.
        scopes: What the session may do.
        claims: Custom JSON values.
        device: What the client is.
        transport: ``"cookie"``, or ``"bearer"`` for an ``Authorization`` header
            in each request that has none of its own.
        manager: Needed only where the app is out of sight, as it is for a
            client of a real server, or has several managers.
        cookie: How that server is set up, if not with the default.
        base_url: Where the requests will go, if the client does not say it.

    Raises:
        ConfigurationError: No middleware is found behind the client, the client
            would not send the cookie there, or the manager is at a limit.
            Nothing stays open.
        StoreError: The store is down; nothing was opened.
        TypeError, ValueError: An argument is unfit; nothing was opened.
    """
    gate, seat = _found(client, manager, cookie, base_url)
    return gate.run(
        _entering(gate, seat, username, transport, scopes=scopes, claims=claims, device=device)
    )


async def alogin_as(  # noqa: PLR0913 - as above
    client: Any,
    username: str,
    *,
    scopes: Iterable[str] = (),
    claims: Mapping[str, Any] | None = None,
    device: Any = None,
    transport: Transport = "cookie",
    manager: SessionManager | None = None,
    cookie: SessionCookie | None = None,
    base_url: str | None = None,
) -> Login:
    """``login_as``, to await; never blocks the event loop."""
    gate, seat = _found(client, manager, cookie, base_url)
    return await gate.arun(
        _entering(gate, seat, username, transport, scopes=scopes, claims=claims, device=device)
    )


class Login:
    """What ``login_as`` did to a client."""

    def __init__(
        self, gate: RequestAuthenticator, seat: Seat, granted: Granted, transport: Transport
    ) -> None:
        self._gate = gate
        self._seat = seat
        self._transport = transport
        self.username = granted.row.username
        self.session = granted.row.sid
        """The handle of the session, as ``user_sessions`` shows it."""

    def __repr__(self) -> str:
        return f"<Login: {self.username!r} by {self._transport}>"

    @property
    def token(self) -> str | None:
        """What the client presents next, so it follows rotations; ``None`` once it has none."""
        return self._seat.token

    def logout(self) -> None:
        """End the session on the server, as from another device, and let the client forget it.

        Raises:
            StoreError: The store is down; the session may live on.
        """
        self._gate.run(self._leaving())

    async def alogout(self) -> None:
        """``logout``, to await."""
        await self._gate.arun(self._leaving())

    def _leaving(self) -> Flow[None]:
        gate = self._gate
        yield from gate.flows.close(gate.now(), self.session, transport=self._transport)
        self._seat.forget()


def _found(
    client: Any, manager: SessionManager | None, cookie: SessionCookie | None, base_url: str | None
) -> tuple[RequestAuthenticator, Seat]:
    seat_for = seats_of(client)
    gate = gate_of(client, manager, cookie)
    return gate, seat_for(gate, base_url)


def _entering(
    gate: RequestAuthenticator,
    seat: Seat,
    username: str,
    transport: Transport,
    **options: Any,
) -> Flow[Login]:
    check_choice(transport, "transport", TRANSPORTS)
    granted = yield from gate.flows.open(
        gate.now(),
        username,
        existing="new",
        transport=transport,
        longest=gate.longest_token(transport),
        **options,
    )
    if granted is None:
        msg = f"{username!r} is not let in: the manager is at its limit; raise it for this test"
        raise ConfigurationError(msg)
    login = Login(gate, seat, granted, transport)
    handle = RequestSession(gate)
    handle.transport, handle.holds_cookie = transport, transport == "cookie"
    handle.renew(granted.row)
    leaving = gate.leave(handle, 200)
    try:
        seat.forget()
        if leaving is not None:
            seat.keep(leaving)
    except Exception:
        yield from login._leaving()  # noqa: SLF001 - its own
        raise
    return login
