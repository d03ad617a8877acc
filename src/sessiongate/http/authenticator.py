"""The middleware's decisions, once for WSGI and ASGI: who comes in, what goes out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypedDict, TypeVar

from sessiongate.core.arguments import check_text
from sessiongate.core.commands import NEVER, WHEN_DUE
from sessiongate.core.row import SECOND, Row, to_datetime
from sessiongate.errors import ConfigurationError
from sessiongate.http import refusals
from sessiongate.http.cookies import SessionCookie
from sessiongate.http.csrf import SAFE_METHODS, check_origins, is_cross_site
from sessiongate.http.request_session import RequestSession
from sessiongate.http.token_reader import CONTRADICTION, TokenReader
from sessiongate.managers import SessionManager
from sessiongate.tokens import LONGEST_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from sessiongate.core.commands import Outcome
    from sessiongate.core.operations import Flows
    from sessiongate.errors import StoreError
    from sessiongate.events import Event
    from sessiongate.http.client import Client
    from sessiongate.http.request_session import PendingCheck
    from sessiongate.http.token_reader import Transport

__all__ = ["Options", "RequestAuthenticator", "ResponseChanges"]

T = TypeVar("T")

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_REALM: Final = re.compile(r"[ !#-\[\]-~]*")
_REFUSED: Final = frozenset({401, 403})
_SERVER_ERROR: Final = 500


class Options(TypedDict, total=False):
    """The keywords of both middlewares; ``RequestAuthenticator`` says what each means."""

    cookie: SessionCookie | None
    refreshed_token_header: str
    trusted_origins: Iterable[str]
    realm: str
    reject_invalid_bearer: bool
    record_device: bool


class ResponseChanges(NamedTuple):
    """What the session adds to a response, which is then not to be stored."""

    status: int
    set_cookie: str | None = None
    token: str | None = None
    """For the response header."""
    extra: tuple[tuple[str, str], ...] = ()


class RequestAuthenticator:
    """The rules of one middleware over one manager. Safe for threads and tasks.

    Args:
        manager: Any of the three managers.
        cookie: The session cookie; strict by default, ``SessionCookie.for_http()``
            for development without TLS.
        refreshed_token_header: The response header that carries a token to
            bearer clients.
        trusted_origins: Other origins, such as ``"https://app.example.com"``,
            whose requests with our cookie are not refused as cross-site.
        realm: Named in ``WWW-Authenticate`` challenges.
        reject_invalid_bearer: Answer 401 to a bearer token that is not valid,
            whatever the page; off, the request goes on as an anonymous one.
        record_device: Keep the user agent and the IP with a session that is
            opened by ``login`` without ``device=``, until it ends.

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """

    def __init__(
        self,
        manager: SessionManager,
        *,
        cookie: SessionCookie | None = None,
        refreshed_token_header: str = "X-Refreshed-Token",  # noqa: S107 - a name, no secret
        trusted_origins: Iterable[str] = (),
        realm: str = "sessiongate",
        reject_invalid_bearer: bool = True,
        record_device: bool = True,
    ) -> None:
        if not isinstance(manager, SessionManager):
            msg = f"manager must be a SessionManager, not {type(manager).__name__}"
            raise TypeError(msg)
        if cookie is not None and not isinstance(cookie, SessionCookie):
            msg = "cookie must be a SessionCookie, such as SessionCookie(name='__Host-id')"
            raise TypeError(msg)
        if not _HEADER.fullmatch(refreshed_token_header):
            msg = "refreshed_token_header must be the name of a header, such as 'X-Refreshed-Token'"
            raise ConfigurationError(msg)
        if not _REALM.fullmatch(check_text(realm, "realm")):
            msg = "realm must be ASCII without quotes and backslashes"
            raise ConfigurationError(msg)
        self.realm = realm
        self.cookie = SessionCookie() if cookie is None else cookie
        self.refreshed_token_header = refreshed_token_header
        self._trusted = check_origins(trusted_origins)
        self._reject_invalid_bearer = reject_invalid_bearer
        self._record_device = record_device
        self.flows: Flows = manager.flows
        self._tickets = TokenReader(self.cookie, self.flows.read)
        self.now: Callable[[], int] = manager.now
        self.store = manager.store
        # Of its own class only: what inherits from it may wait.
        self.blocking: bool = vars(type(manager.store)).get("blocking", True)
        self._outages, self._log_answer = manager.outages, manager.log_answer
        self.emit, self.aemit = manager.emit, manager.aemit
        self.run, self.arun = manager.run, manager.arun
        self.information: Callable[[Row | None], dict[str, Any] | None] = manager.information

    def age(self, row: Row) -> float:
        """Seconds since the login that opened the session."""
        return (self.now() - row.created_at) / SECOND

    def rotates_at(self, row: Row) -> datetime | None:
        """From when on a request rotates the token; ``None``: no request will."""
        due = row.rotated_at + self.flows.settings.policy.rotate_after
        return None if row.shared or due >= row.expires_at else to_datetime(due)

    def longest_token(self, transport: Transport) -> int:
        return self.cookie.longest_value if transport == "cookie" else LONGEST_TOKEN

    def read(
        self,
        method: str,
        cookies: Sequence[bytes],
        authorizations: Sequence[bytes],
        client: Client,
        header: Callable[[T, str], Sequence[bytes]],
        headers: T,
    ) -> RequestSession:
        """What a request brings: nothing, a refusal, or a token to ask the store about.

        A handle that is ``pending_check`` has yet to ``enter``, with what the store
        answers, or to ``fail``.

        Args:
            method: The method, or ``"WEBSOCKET"``.
            cookies: Each ``Cookie`` field, as the bytes that came.
            authorizations: Each ``Authorization`` field.
            client: What the client told of itself, and where it is.
            header: Finds in ``headers`` all fields of a lower-case name.
            headers: The header fields, as the stack has them.
        """
        handle = RequestSession(self, client if self._record_device else None)
        if not cookies and not authorizations:
            return handle
        now = self.now()
        presented = self._tickets.read(cookies, authorizations, now)
        if presented is None:
            return handle
        handle.transport, ticket, behind, handle.holds_cookie = presented
        if presented is CONTRADICTION:
            handle.refusal = refusals.invalid_request(self.realm)
        elif ticket is None:
            self._keep_out(handle)
        elif (
            method not in SAFE_METHODS
            and handle.transport == "cookie"
            and self._is_cross_site(header, headers)
        ):
            handle.refusal = refusals.CROSS_SITE
        else:
            rotation = NEVER if method == "OPTIONS" else WHEN_DUE
            handle.pending_check = self.flows.ask(now, ticket, rotation), ticket, behind
        return handle

    def enter(
        self, handle: RequestSession, pending_check: PendingCheck, outcome: Outcome
    ) -> Event | None:
        """Settle by the store's answer what the token is worth: what is to be told of it."""
        handle.pending_check = None
        command, ticket, behind = pending_check
        if self._outages.pending:
            self._log_answer()
        row, event = self.flows.judge(command, ticket, outcome, handle.transport)
        if row is None:
            self._keep_out(handle)
            return event
        handle.user.row = row
        if row.generation != behind and not row.shared:
            handle.renew(row, rotated_at=command.now)
        return event

    def fail(self, handle: RequestSession, pending_check: PendingCheck, error: StoreError) -> Event:
        """Refuse, for the store did not answer: what is to be told of it."""
        handle.pending_check = None
        handle.refusal = refusals.UNAVAILABLE
        return self.flows.failed(pending_check[0], error)

    def _keep_out(self, handle: RequestSession) -> None:
        """Go on without a user: the token that came is not valid."""
        if handle.transport == "bearer" and self._reject_invalid_bearer:
            handle.refusal = refusals.login_required(self.realm, invalid_token=True)
        handle.transport = None
        handle.invalid_token = True

    def leave(self, handle: RequestSession, status: int) -> ResponseChanges | None:
        """What the response of this status is to carry; ``None``: nothing of the session."""
        handle.response_started = True
        if handle.store_failed and status >= _SERVER_ERROR:
            refusal = refusals.UNAVAILABLE
            return ResponseChanges(refusal.status, extra=refusal.headers)
        outgoing = handle.outgoing
        if outgoing is None:
            return None
        row = outgoing.row
        if row is None:
            return ResponseChanges(status, set_cookie=self.cookie.expire())
        now = self.now()
        if self.flows.superseded.covers(row.sid, row.generation):
            return None  # the token has died since, or the client has a newer one
        if outgoing.rotated_at is not None and self._is_late(outgoing.rotated_at, status, now):
            return None
        token = self.flows.codec.mint(row)
        set_cookie = None
        if outgoing.cookie == "issue":
            seconds_left = max(1, -(-(row.expires_at - now) // SECOND))
            set_cookie = self.cookie.issue(token, seconds_left)
        elif outgoing.cookie == "expire":
            set_cookie = self.cookie.expire()
        return ResponseChanges(status, set_cookie, token if outgoing.by_header else None)

    def _is_late(self, rotated_at: int, status: int, now: int) -> bool:
        """Whether a rotated token is better kept: the next response brings it again.

        It may be older than what the client has; and a refusal hands out nothing.
        A grace too short for any view to be in time counts as a second here.
        """
        late = max(self.flows.settings.policy.grace, SECOND)
        return status in _REFUSED or now - rotated_at > late

    def _is_cross_site(self, header: Callable[[T, str], Sequence[bytes]], headers: T) -> bool:
        return is_cross_site(
            header(headers, "sec-fetch-site"),
            header(headers, "origin"),
            header(headers, "host"),
            self._trusted,
        )
