"""What a view may do with the session of its request.

Each verb is one store step, carried out at once. Nothing of the session is
written when the view is done: the response only carries the token out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar, final

from sessiongate.core.arguments import check_choice
from sessiongate.core.operations import EXISTING
from sessiongate.core.outcomes import NOW
from sessiongate.errors import ResponseStartedError, StoreError
from sessiongate.http.client import describe
from sessiongate.http.token_reader import TRANSPORTS, Transport
from sessiongate.http.user import User
from sessiongate.tokens import TokenPayload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sessiongate.core.operations import Check, Granted
    from sessiongate.core.row import Row
    from sessiongate.core.steps import Flow
    from sessiongate.http.authenticator import RequestAuthenticator
    from sessiongate.http.client import Client
    from sessiongate.http.refusals import Refusal

__all__ = ["PendingCheck", "RequestSession", "TokenDelivery"]

T = TypeVar("T")

PendingCheck: TypeAlias = tuple["Check", int]
"""What the store is asked, and the generation that the client is to get past."""


class TokenDelivery(NamedTuple):
    """What the response does to the client's tokens."""

    row: Row | None
    """The session whose current token goes out; ``None``: none does."""
    by_header: bool = False
    cookie: Literal["issue", "expire"] | None = None
    rotated_at: int | None = None
    """When the middleware rotated the token by itself: such a one is not sent late."""


@final
class RequestSession:
    """The session of one request: ``scope["sessiongate"]``, ``environ["sessiongate"]``.

    Starlette's ``request.auth`` as well. Belongs to its request; not for use by
    several threads at once. The ``a…`` twins are for async views and never
    block the event loop.
    """

    __slots__ = (
        "_client",
        "_gate",
        "holds_cookie",
        "invalid_token",
        "outgoing",
        "pending_check",
        "refusal",
        "response_started",
        "store_failed",
        "transport",
        "user",
    )

    def __init__(self, gate: RequestAuthenticator, client: Client | None = None) -> None:
        self._client = client
        self._gate = gate
        self.pending_check: PendingCheck | None = None
        """The token that came, until the store has answered."""
        self.refusal: Refusal | None = None
        """What is answered instead of the app."""
        self.transport: Transport | None = None
        """How the token came, ``"cookie"`` or ``"bearer"``; ``None`` for the anonymous."""
        self.user = User(gate.information)
        """Who it is; one object for the whole request."""
        self.invalid_token = False
        """Whether a token came that is not valid."""
        self.holds_cookie = False
        """Whether the client has a session cookie that a response should know of."""
        self.outgoing: TokenDelivery | None = None
        self.response_started = False
        self.store_failed = False

    def __repr__(self) -> str:
        return f"<RequestSession: {self.user!r} by {self.transport}>"

    @property
    def gate(self) -> RequestAuthenticator:
        """The rules of the middleware that made this handle."""
        return self._gate

    @property
    def scopes(self) -> list[str]:
        """What the request may do, as Starlette's ``AuthCredentials`` say it.

        ``"authenticated"`` and the session's own; empty for the anonymous.
        """
        return ["authenticated", *self.user.scopes] if self.user.is_authenticated else []

    @property
    def session(self) -> str | None:
        """The handle of the session, as ``user_sessions`` shows it; ``None``: anonymous."""
        row = self.user.row
        return None if row is None else row.sid

    @property
    def expires_at(self) -> datetime | None:
        """When the session ends unless it is refreshed; ``None`` for the anonymous."""
        row = self.user.row
        return None if row is None else self._gate.flows.expires_at(row)

    @property
    def rotates_at(self) -> datetime | None:
        """From when on a request rotates the token; ``None``: no request will."""
        row = self.user.row
        return None if row is None else self._gate.rotates_at(row)

    @property
    def age(self) -> float | None:
        """Seconds since the user last proved who they are; ``None`` for the anonymous."""
        row = self.user.row
        return None if row is None else self._gate.age(row)

    def login(
        self,
        username: str,
        *,
        transport: Transport | None = None,
        existing: Literal["reuse", "new", "replace"] | None = None,
        scopes: Iterable[str] = (),
        claims: Mapping[str, Any] | None = None,
        device: Any = None,
    ) -> str | None:
        """Open a session for this client and return its token, or ``None`` at a limit.

        The session is always one of its own: two browsers cannot share a
        rotating token, so ``existing="reuse"`` counts as ``"new"``. The
        session the request came with ends in the same step (ASVS 7.2.4).

        Args:
            username: As in ``create_session``, like the rest.
            transport: How the token goes out; by default the way the request's
                own came, or as a cookie. ``"bearer"``: in the response header;
                no cookie is set, and that of the session before is deleted.
            existing: ``"replace"`` ends the user's other sessions.
            scopes: What the session may do.
            claims: Custom JSON values.
            device: What the client is, as JSON; by default its user agent and
                IP, as the server saw them, unless the middleware is told
                ``record_device=False``. ``{}``: nothing.

        Raises:
            ResponseStartedError: The headers have gone out; nothing was done.
            StoreError: The store is down; nothing was opened.
            ValueError, TypeError: An argument is unfit, or the token would be
                too large for a cookie; nothing was opened.
        """
        return self._logged_in(
            self.run(self._login(username, transport, existing, scopes, claims, device))
        )

    async def alogin(
        self,
        username: str,
        *,
        transport: Transport | None = None,
        existing: Literal["reuse", "new", "replace"] | None = None,
        scopes: Iterable[str] = (),
        claims: Mapping[str, Any] | None = None,
        device: Any = None,
    ) -> str | None:
        """``login``, to await."""
        return self._logged_in(
            await self.arun(self._login(username, transport, existing, scopes, claims, device))
        )

    def logout(self) -> None:
        """End the session on the server and delete the cookie; without a session, only that.

        Raises:
            StoreError: The store is down; the session may live on, and the
                cookie stays.
        """
        self.run(self.closing())

    async def alogout(self) -> None:
        """``logout``, to await."""
        await self.arun(self.closing())

    def refresh(self) -> str | None:
        """Exchange the token now and return the new one, or ``None`` if the session is over.

        All older tokens of the session are dead at once.

        Raises:
            ResponseStartedError: The headers have gone out; nothing was done.
            StoreError: The store is down; the token is as valid as before.
        """
        return self._refreshed(self.run(self._refresh()))

    async def arefresh(self) -> str | None:
        """``refresh``, to await."""
        return self._refreshed(await self.arun(self._refresh()))

    # Inside: what the verbs mean, in one text for both colours.

    def _login(
        self,
        username: str,
        transport: Transport | None,
        existing: str | None,
        scopes: Iterable[str],
        claims: Mapping[str, Any] | None,
        device: Any,
    ) -> Flow[tuple[Granted, Transport] | None]:
        self._before_response("login()")
        if transport is not None:
            check_choice(transport, "transport", TRANSPORTS)
        flows, carrier = self._gate.flows, transport or self.transport or "cookie"
        wanted = existing or flows.settings.existing
        if check_choice(wanted, "existing", EXISTING) == "reuse":
            wanted = "new"
        granted = yield from flows.open(
            self._gate.now(),
            username,
            existing=wanted,
            scopes=scopes,
            claims=claims,
            device=self._described() if device is None else device,
            replaces=() if self.session is None else (self.session,),
            transport=carrier,
            longest=self._gate.longest_token(carrier),
        )
        return None if granted is None else (granted, carrier)

    def _logged_in(self, opened: tuple[Granted, Transport] | None) -> str | None:
        if opened is None:
            return None
        granted, carrier = opened
        self._become(granted.row, carrier)
        if carrier == "cookie":
            self.holds_cookie = True
            self.outgoing = TokenDelivery(granted.row, cookie="issue")
        else:
            # Beside the new token the cookie of another session would be a 400.
            cookie: Literal["expire"] | None = "expire" if self.holds_cookie else None
            self.outgoing = TokenDelivery(granted.row, by_header=True, cookie=cookie)
        return granted.token

    def closing(self) -> Flow[None]:
        """``logout`` as a flow."""
        row, transport = self.user.row, self.transport
        if row is not None:
            yield from self._gate.flows.close(self._gate.now(), row.sid, transport=transport)
        self._become(None, None)
        by_bearer_alone = transport == "bearer" and not self.holds_cookie
        self.outgoing = None if by_bearer_alone else TokenDelivery(None, cookie="expire")

    def _refresh(self) -> Flow[Row | None]:
        self._before_response("refresh()")
        row = self.user.row
        ticket = None if row is None else TokenPayload(row.sid, row.generation)
        return (yield from self._gate.flows.present(self._gate.now(), ticket, NOW, self.transport))

    def _refreshed(self, row: Row | None) -> str | None:
        if row is None:
            self._become(None, None)
            self.outgoing = None
            return None
        self._become(row, self.transport)
        self.renew(row)
        return self._gate.flows.codec.mint(row)

    def renew(self, row: Row, rotated_at: int | None = None) -> None:
        """Send the session's current token, each way that it came."""
        cookie: Literal["issue", "expire"] | None = None
        if self.holds_cookie:
            gone = self.outgoing is not None and self.outgoing.cookie == "expire"
            cookie = "expire" if gone else "issue"
        self.outgoing = TokenDelivery(row, self.transport == "bearer", cookie, rotated_at)

    def _described(self) -> dict[str, str] | None:
        return None if self._client is None else describe(self._client)

    def _become(self, row: Row | None, transport: Transport | None) -> None:
        self.user.row = row
        self.transport = transport

    def _before_response(self, verb: str) -> None:
        if self.response_started:
            msg = f"{verb} came after the response had started: call it before the first byte"
            raise ResponseStartedError(msg)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow for this request; a store that fails makes its answer a 503."""
        try:
            return self._gate.run(flow)
        except StoreError:
            self.store_failed = True
            raise

    async def arun(self, flow: Flow[T]) -> T:
        """``run``, to await."""
        try:
            return await self._gate.arun(flow)
        except StoreError:
            self.store_failed = True
            raise
