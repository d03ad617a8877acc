"""The middleware's decisions, once for WSGI and ASGI: who a request comes from, what goes back.

Parse the request, ask the store, apply its answer; then prepare the response.
The middleware answers in the app's place in one case only: the store cannot
say who it is.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Unpack

from sessiongate.core.rotation import NEVER, WHEN_DUE
from sessiongate.core.row import SECOND, Row
from sessiongate.errors import StoreError
from sessiongate.http.csrf import SAFE_METHODS, find_cross_site
from sessiongate.http.refusals import UNAVAILABLE
from sessiongate.http.request_session import RequestSession
from sessiongate.http.settings import MiddlewareOptions, MiddlewareSettings
from sessiongate.http.token_reader import TokenReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessiongate.core.decisions import Check
    from sessiongate.core.steps import Flow
    from sessiongate.events import Event
    from sessiongate.http.client import Client
    from sessiongate.managers import SessionManager

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
    by_itself: bool = False
    """Whether the middleware renewed the token: what the view says of it counts for more."""


class RequestAuthenticator:
    """The rules of one middleware over one manager. Safe for threads and tasks.

    Takes the keywords of ``MiddlewareSettings``, which says what each means.
    """

    def __init__(
        self, manager: SessionManager, *, awaits: bool = False, **options: Unpack[MiddlewareOptions]
    ) -> None:
        self.settings = MiddlewareSettings(manager, **options)
        self.manager = manager
        # Of its own class only: what inherits from it may block.
        self.awaits = awaits and vars(type(manager.store)).get("blocking", True)
        """Whether the store is to be awaited."""
        self._operations = manager.operations
        self._tokens = TokenReader(self.settings.cookie, manager.operations.read)
        self._outages = manager.outages
        self._now = manager.now

    def parse_request(
        self,
        method: str,
        cookies: Sequence[bytes],
        authorizations: Sequence[bytes],
        client: Client,
    ) -> RequestSession:
        """Find out who a request comes from, as far as nothing has to be awaited.

        With a ``pending_check``, await the store, then call ``apply_data`` or
        ``read_failed``. With a ``pending_flow``, now or after that, run it.
        Where the store fails, the session's ``store_failed`` is set.

        Args:
            method: The method, or ``"WEBSOCKET"`` for all that opens one.
            cookies: Each ``Cookie`` field, as the bytes that came.
            authorizations: Each ``Authorization`` field.
            client: Who asks, and where the other fields are.
        """
        settings, elsewhere = self.settings, None
        if method not in SAFE_METHODS:
            elsewhere = find_cross_site(partial(client[0], client[1]), settings.trusted_origins)
        session = RequestSession(settings, client, elsewhere)
        if not cookies and not authorizations:
            return session
        now = self._now()
        session.credentials = credentials = self._tokens.read(cookies, authorizations, now)
        tokens = credentials.tokens
        rotation = NEVER if method == "OPTIONS" else WHEN_DUE
        if not tokens:
            session.problem = credentials.problem
        elif elsewhere is not None and not credentials.by_authorization:
            session.problem = "cross_site"
            settings.report_cross_site("a session cookie counted for nothing", elsewhere)
        elif len(tokens) != 1:
            session.pending_flow = self._run(session, self._choose(session, now, rotation), now)
        elif self.awaits:
            session.pending_check = tokens[0], now, rotation, credentials.transport
        else:
            check = tokens[0], now, rotation, credentials.transport
            try:
                data = self.manager.store.read(tokens[0].sid)
            except StoreError as error:
                self.read_failed(session, error)
            else:
                self.apply_data(session, check, data)
        return session

    def apply_data(self, session: RequestSession, check: Check, data: Any) -> None:
        """Apply what the store has read; a ``pending_flow`` where the session has to change."""
        if self._outages.pending:
            self.manager.log_answer()
        found = self._operations.interpret(check, data)
        if found is None or type(found) is Row:
            self._set_user(session, found, check[1])
        else:
            session.pending_flow = self._run(session, found, check[1])

    def _set_user(self, session: RequestSession, row: Row | None, now: int) -> None:
        if row is None:
            session.problem = session.problem or "invalid_token"
            return
        credentials = session.credentials
        session.transport = credentials.transport
        session.user.row = row
        if row.generation != credentials.sent_generation and not row.shared:
            session.send_token(row, rotated_at=now)

    def read_failed(self, session: RequestSession, error: StoreError) -> None:
        """Note that the store could not be read; the ``pending_flow`` emits the event."""
        session.store_failed = True
        session.pending_flow = _emit(self._operations.failed(self._now(), "read", error))

    def _run(self, session: RequestSession, flow: Flow[Row | None], now: int) -> Flow[None]:
        try:
            row = yield from flow
        except StoreError:
            session.store_failed = True
        else:
            self._set_user(session, row, now)

    def _choose(self, session: RequestSession, now: int, rotation: int) -> Flow[Row | None]:
        """Ask about each session that came: one live one counts, of two neither does."""
        live: list[tuple[Check, Any]] = []
        for token in session.credentials.tokens:
            check = token, now, rotation, "cookie"
            data = yield "read", token.sid
            if self._operations.accepts(check, data):
                live.append((check, data))
            else:
                yield from self._settle(check, data)  # a replay still ends its session
        if len(live) != 1:
            session.problem = "invalid_request" if live else "invalid_token"
            return None
        sent = live[0][0][0].generation
        session.credentials = session.credentials._replace(sent_generation=sent)
        return (yield from self._settle(*live[0]))

    def _settle(self, check: Check, data: Any) -> Flow[Row | None]:
        found = self._operations.interpret(check, data)
        return found if found is None or type(found) is Row else (yield from found)

    def prepare_response(self, session: RequestSession, status: int) -> ResponseChanges | None:
        """What the response of this status is to carry; ``None``: nothing of the session."""
        session.response_started = True
        for verb in session.not_awaited:
            self.manager.logger.error(_NEVER_AWAITED, verb)
        changes = self._deliver(session, status)
        if session.store_failed and status >= _SERVER_ERROR:
            # With the token of a login that was done before the store failed.
            changes = (changes or ResponseChanges(status))._replace(
                status=UNAVAILABLE.status, extra=UNAVAILABLE.headers
            )
        return changes

    def _deliver(self, session: RequestSession, status: int) -> ResponseChanges | None:
        delivery = session.delivery
        if delivery is None:
            return None
        cookie, row = self.settings.cookie, delivery.row
        set_cookies: tuple[str, ...] = ()
        if session.credentials.cookies > 1 and delivery.cookie in {"issue", "expire"}:
            # Those that this cookie would not replace would shadow it.
            set_cookies = cookie.expire_others()
        if delivery.cookie == "expire":
            set_cookies += (cookie.expire(),)
        if row is None:
            return ResponseChanges(status, set_cookies)
        now = self.manager.now()
        if self._operations.superseded.covers(row.sid, row.generation):
            return None  # the token has died since, or the client has a newer one
        if delivery.rotated_at is not None:
            # A late token may be older than what the client has, and a refusal hands out none:
            # the next response brings it. A grace too short for any view counts as a second.
            late = max(self._operations.policy.grace, SECOND)
            if status in _REFUSED or now - delivery.rotated_at > late:
                return None
        token = self._operations.codec.mint(row)
        if delivery.cookie in {"issue", "renew"}:
            seconds_left = max(1, -(-(row.expires_at - now) // SECOND))
            set_cookies += (cookie.issue(token, seconds_left),)
        header = token if delivery.by_header else None
        by_itself = delivery.rotated_at is not None
        return ResponseChanges(status, set_cookies, header, by_itself=by_itself)

    def undo_login(self, session: RequestSession) -> Flow[None]:
        """Close what the request opened, where no response will bring the client its token.

        The server's own 500 goes around us.
        """
        sid, session.opened = session.opened, None
        if sid is not None:
            with suppress(StoreError):  # it is in the log; the error of the view is what counts
                yield from self._operations.close(
                    self.manager.now(), sid, transport=session.transport
                )


def _emit(event: Event) -> Flow[None]:
    yield event
