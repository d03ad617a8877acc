"""Clients that are logged in: with a real session, opened as a login view would do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sessiongate.core.arguments import SessionOptions, check_choice
from sessiongate.errors import ConfigurationError
from sessiongate.http.credentials import TRANSPORTS
from sessiongate.http.request_session import RequestSession, TokenDelivery
from sessiongate.testing._clients import seats_of
from sessiongate.testing._search import authenticator_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sessiongate.admission.logins import Granted
    from sessiongate.core.steps import Flow
    from sessiongate.http.authenticator import RequestAuthenticator
    from sessiongate.http.cookies import SessionCookie
    from sessiongate.http.credentials import Transport
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
        client: ``app.test_client()`` of Flask and Quart, a ``werkzeug.test.Client``, a
            ``django.test.Client`` or ``AsyncClient``, the ``TestClient`` of Starlette, FastAPI and
            Litestar, or an ``httpx`` client.
        username: As in ``create_session``, like the next three. Django looks for its user.
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
        ConfigurationError: No middleware is found behind the client, the client would not send the
            cookie there, or the manager is at a limit. Nothing stays open.
        StoreError: The store is down; nothing was opened.
        TypeError, ValueError: An argument is unfit; nothing was opened.
    """
    authenticator, seat = _found(client, manager, cookie, base_url)
    options = SessionOptions(scopes=scopes, claims=claims, device=device)
    return authenticator.manager.run(_entering(authenticator, seat, username, transport, options))


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
    authenticator, seat = _found(client, manager, cookie, base_url)
    options = SessionOptions(scopes=scopes, claims=claims, device=device)
    flow = _entering(authenticator, seat, username, transport, options)
    return await authenticator.manager.arun(flow)


class Login:
    """What ``login_as`` did to a client."""

    def __init__(
        self,
        authenticator: RequestAuthenticator,
        seat: Seat,
        granted: Granted,
        transport: Transport,
    ) -> None:
        self._authenticator = authenticator
        self._seat = seat
        self._transport = transport
        self.username: str = granted.row.username
        self.session: str = granted.row.sid
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
        self._authenticator.manager.run(self._leaving())

    async def alogout(self) -> None:
        """``logout``, to await."""
        await self._authenticator.manager.arun(self._leaving())

    def _leaving(self) -> Flow[None]:
        manager = self._authenticator.manager
        yield from manager.operations.close(manager.now(), self.session, transport=self._transport)
        self._seat.forget()


def _found(
    client: Any, manager: SessionManager | None, cookie: SessionCookie | None, base_url: str | None
) -> tuple[RequestAuthenticator, Seat]:
    seat_for = seats_of(client)
    authenticator = authenticator_of(client, manager, cookie)
    return authenticator, seat_for(authenticator.settings, base_url)


def _entering(
    authenticator: RequestAuthenticator,
    seat: Seat,
    username: str,
    transport: Transport,
    options: SessionOptions,
) -> Flow[Login]:
    options["existing"] = "new"
    check_choice(transport, "transport", TRANSPORTS)
    granted = yield from authenticator.manager.logins.open(
        authenticator.manager.now(),
        username,
        options,
        transport=transport,
        longest=authenticator.settings.longest_token(transport),
    )
    if granted is None:
        msg = f"{username!r} is not let in: the manager is at its limit; raise it for this test"
        raise ConfigurationError(msg)
    login = Login(authenticator, seat, granted, transport)
    session = RequestSession(authenticator.settings)
    by_header = transport == "bearer"
    session.delivery = TokenDelivery(granted.row, by_header, None if by_header else "issue")
    changes = authenticator.prepare_response(session, 200)
    try:
        seat.forget()
        if changes is not None:
            seat.keep(changes)
    except Exception:
        yield from login._leaving()  # noqa: SLF001 - its own
        raise
    return login
