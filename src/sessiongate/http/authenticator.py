"""The middleware's decisions, once for WSGI and ASGI: who a request comes from, what goes back.

Parse the request, ask the store, apply its answer; then prepare the response.
The middleware answers in the app's place in one case only: the store cannot
say who it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, Unpack

from sessiongate.core.outcomes import NEVER, WHEN_DUE
from sessiongate.core.row import SECOND, Row
from sessiongate.http import refusals
from sessiongate.http.csrf import SAFE_METHODS, describe_cross_site, is_cross_site
from sessiongate.http.request_session import RequestSession
from sessiongate.http.settings import MiddlewareOptions, MiddlewareSettings
from sessiongate.http.token_reader import TokenReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sessiongate.core.steps import Flow
    from sessiongate.errors import StoreError
    from sessiongate.events import Event
    from sessiongate.http.client import Client
    from sessiongate.http.csrf import CrossSite
    from sessiongate.http.request_session import PendingCheck
    from sessiongate.managers import SessionManager
    from sessiongate.tokens import TokenPayload

__all__ = ["RequestAuthenticator", "ResponseChanges"]

T = TypeVar("T")

_REFUSED: Final = frozenset({401, 403})
_SERVER_ERROR: Final = 500
_NEVER_AWAITED: Final = "%s was called and never awaited, so it did nothing: write `await …`"


class ResponseChanges(NamedTuple):
    """What the session adds to a response, which is then not to be stored."""

    status: int
    set_cookies: tuple[str, ...] = ()
    token: str | None = None
    """For the response header."""
    extra: tuple[tuple[str, str], ...] = ()


class RequestAuthenticator:
    """The rules of one middleware over one manager. Safe for threads and tasks.

    Takes the keywords of ``MiddlewareSettings``, which says what each means.
    """

    def __init__(self, manager: SessionManager, **options: Unpack[MiddlewareOptions]) -> None:
        self.settings = MiddlewareSettings(manager, **options)
        self._record_device = self.settings.record_device
        self._operations = manager.operations
        self._now: Callable[[], int] = manager.now
        self._tokens = TokenReader(self.settings.cookie, manager.operations.read)
        self.manager = manager
        self.store = manager.store
        # Of its own class only: what inherits from it may wait.
        self.blocking: bool = vars(type(manager.store)).get("blocking", True)
        self._outages = manager.outages

    def parse_request(
        self,
        method: str,
        cookies: Sequence[bytes],
        authorizations: Sequence[bytes],
        client: Client,
        header: Callable[[T, str], Sequence[bytes]],
        headers: T,
    ) -> RequestSession:
        """What a request brings: nothing, a problem, or tokens to ask the store about.

        A session with a ``pending_check`` waits for ``apply_result`` with what
        the store has read, or for ``read_failed``; one with a ``pending_flow``
        for that to be run. Where the store fails in it, the session is
        ``unavailable``.

        Args:
            method: The method, or ``"WEBSOCKET"``.
            cookies: Each ``Cookie`` field, as the bytes that came.
            authorizations: Each ``Authorization`` field.
            client: What the client says of itself, and where it is.
            header: Finds in ``headers`` all fields of a lower-case name.
            headers: The header fields, as the stack has them.
        """
        elsewhere = None if method in SAFE_METHODS else self._cross_site(header, headers)
        session = RequestSession(self.settings, client if self._record_device else None, elsewhere)
        if not cookies and not authorizations:
            return session
        now = self._now()
        session.credentials = credentials = self._tokens.read(cookies, authorizations, now)
        tokens = credentials.tokens
        if not tokens:
            session.problem = credentials.problem
        elif elsewhere is not None and not credentials.by_authorization:
            session.problem = "cross_site"
            self.settings.report_cross_site("a session cookie counted for nothing", elsewhere)
        else:
            rotation = NEVER if method == "OPTIONS" else WHEN_DUE
            if len(tokens) == 1:
                check = self._operations.build_check(now, tokens[0], rotation)
                session.pending_check = check, credentials.sent_generation
            else:
                session.pending_flow = self._choose(session, now, rotation)
        return session

    def apply_result(
        self, session: RequestSession, pending: PendingCheck, data: Any
    ) -> Flow[None] | None:
        """Apply what the store has read; return a flow to run where the session has to change."""
        session.pending_check = None
        if self._outages.pending:
            self.manager.log_answer()
        check, sent_generation = pending
        found = self._operations.interpret(check, data, session.credentials.transport)
        if found is None or type(found) is Row:
            self._set_user(session, found, sent_generation, check.now)
            return None
        return self._apply_change(session, pending, found)

    def _apply_change(
        self, session: RequestSession, pending: PendingCheck, change: Flow[Row | None]
    ) -> Flow[None]:
        check, sent_generation = pending
        self._set_user(session, (yield from change), sent_generation, check.now)

    def _choose(self, session: RequestSession, now: int, rotation: int) -> Flow[None]:
        """Ask about each session that came: one live one counts, of two neither does."""
        live: list[tuple[TokenPayload, Row]] = []
        for token in session.credentials.tokens:
            row = yield from self._operations.present(now, token, NEVER, "cookie")
            if row is not None:
                live.append((token, row))
        if len(live) > 1:
            session.problem = "invalid_request"
            return
        row, sent_generation = None, 0
        if live:
            token, row = live[0]
            sent_generation = token.generation
            if rotation != NEVER and self._operations.is_due(row, now):
                row = yield from self._operations.present(now, token, rotation, "cookie")
        self._set_user(session, row, sent_generation, now)

    def _set_user(
        self, session: RequestSession, row: Row | None, sent_generation: int, now: int
    ) -> None:
        if row is None:
            session.problem = "invalid_token"
            return
        session.transport = session.credentials.transport
        session.user.row = row
        if row.generation != sent_generation and not row.shared:
            session.send_token(row, rotated_at=now)

    def read_failed(
        self, session: RequestSession, pending: PendingCheck, error: StoreError
    ) -> Event:
        """Mark that the store could not be read; return the event to emit."""
        session.unavailable = True
        return self._operations.failed(pending[0].now, "read", error)

    def prepare_response(self, session: RequestSession, status: int) -> ResponseChanges | None:
        """What the response of this status is to carry; ``None``: nothing of the session."""
        session.response_started = True
        for verb in session.not_awaited or ():
            self.manager.logger.error(_NEVER_AWAITED, verb)
        if session.store_failed and status >= _SERVER_ERROR:
            refusal = refusals.UNAVAILABLE
            return ResponseChanges(refusal.status, extra=refusal.headers)
        delivery = session.delivery
        if delivery is None:
            return None
        cookie, row = self.settings.cookie, delivery.row
        # Others under its name, which this one would not replace, would shadow it.
        tidied = session.credentials.several_cookies and delivery.tidies
        others = cookie.expire_others() if tidied else ()
        if row is None:
            return ResponseChanges(status, (*others, cookie.expire()))
        now = self._now()
        if self._operations.superseded.covers(row.sid, row.generation):
            return None  # the token has died since, or the client has a newer one
        if delivery.rotated_at is not None and self._is_late(delivery.rotated_at, status, now):
            return None
        token = self._operations.codec.mint(row)
        set_cookies: tuple[str, ...] = ()
        if delivery.cookie == "issue":
            seconds_left = max(1, -(-(row.expires_at - now) // SECOND))
            set_cookies = (*others, cookie.issue(token, seconds_left))
        elif delivery.cookie == "expire":
            set_cookies = (*others, cookie.expire())
        return ResponseChanges(status, set_cookies, token if delivery.by_header else None)

    def undo_login(self, session: RequestSession) -> Flow[Any] | None:
        """Close what the request opened, where no response will bring the client its token."""
        sid, session.opened = session.opened, None
        if sid is None:
            return None
        return self._operations.close(self._now(), sid, transport=session.transport)

    def _is_late(self, rotated_at: int, status: int, now: int) -> bool:
        """Whether the next response is to bring a rotated token, and not this one.

        It may be older than what the client has; and a refusal hands out nothing.
        A grace too short for any view to be in time counts as a second here.
        """
        late = max(self._operations.settings.policy.grace, SECOND)
        return status in _REFUSED or now - rotated_at > late

    def _cross_site(
        self, header: Callable[[T, str], Sequence[bytes]], headers: T
    ) -> CrossSite | None:
        fetch_site, origins = header(headers, "sec-fetch-site"), header(headers, "origin")
        if not fetch_site and not origins:
            return None  # no browser's
        hosts = header(headers, "host")
        if not is_cross_site(fetch_site, origins, hosts, self.settings.trusted_origins):
            return None
        return describe_cross_site(fetch_site, origins, hosts)
