"""The middleware's decisions, once for WSGI and ASGI: who a request comes from, what goes back.

Parse the request, ask the store, apply its answer; then prepare the response. The middleware
answers in the app's place in one case only: the store cannot say who it is.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Unpack

from sessiongate.core.rotation import NEVER, PASSIVE, WHEN_DUE
from sessiongate.core.row import SECOND, Row
from sessiongate.errors import StoreError
from sessiongate.http.credentials import TokenReader
from sessiongate.http.origin import SAFE_METHODS, find_cross_site
from sessiongate.http.refusals import UNAVAILABLE
from sessiongate.http.request_session import NO_DELIVERY, RequestSession, SkippedSessions
from sessiongate.http.response import ResponseChanges
from sessiongate.http.settings import MiddlewareOptions, MiddlewareSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.core.decisions import Check
    from sessiongate.core.steps import Flow
    from sessiongate.http.origin import Client
    from sessiongate.http.paths import FindRule
    from sessiongate.managers import SessionManager
    from sessiongate.reports.reporter import Reporter

Offer: TypeAlias = "Callable[[RequestSession], tuple[tuple[str, str], ...]]"
"""Header fields for the response that hands out a token."""

_REFUSED: Final = frozenset({401, 403})
_SERVER_ERROR: Final = 500
_TOO_LARGE: Final = (
    "the token of session %s is too large for its cookie, so the browser keeps the one before: "
    "update_session or update_user_sessions gave it too many claims"
)
_NEVER_AWAITED: Final = "%s was called and never awaited, so it did nothing: write `await …`"


class RequestAuthenticator:
    """The rules of one middleware over one manager. Safe for threads and tasks.

    Takes the keywords of ``MiddlewareSettings``, which says what each means.
    """

    def __init__(
        self,
        manager: SessionManager,
        *,
        awaits: bool = False,
        make_session: type[RequestSession] = RequestSession,
        **options: Unpack[MiddlewareOptions],
    ) -> None:
        self.settings: MiddlewareSettings = MiddlewareSettings(manager, **options)
        self.manager = manager
        api_tokens = options.pop("api_tokens", None)
        self.for_api_tokens: RequestAuthenticator | None = None
        """Who decides instead where an API token came; ``None``: they are not accepted."""
        if api_tokens is not None:
            self._brings_api_token = api_tokens.came_with
            self.for_api_tokens = RequestAuthenticator(
                api_tokens.manager,
                awaits=awaits,
                make_session=api_tokens.request_session,
                **options,
            )
        self._make_session = make_session
        # Of its own class only: what inherits from it may block.
        self.awaits: bool = awaits and bool(vars(type(manager.asked)).get("blocking", True))
        """Whether the store is to be awaited."""
        self._operations = manager.operations
        self._tokens = TokenReader(self.settings.cookie, manager.operations.read)
        self.reporter: Reporter = manager.reporter
        self._outages = manager.reporter.outages
        self._now = manager.now
        skip, passive = self.settings.skip, self.settings.passive
        self.minds_paths: bool = bool(skip or passive)
        """Whether the path of a request matters: then ask the next two for the rule on it."""
        self.find_skipped: FindRule = skip or _no_rule
        self.find_passive: FindRule = passive or _no_rule
        self.skipped: SkippedSessions = SkippedSessions(self.settings)
        self._offer: Offer | None = None

    def serve(self, rule: FindRule, offer: Offer) -> None:
        """Look for no credential where this rule says so, before ``skip`` does; and ``offer``."""
        others, self.minds_paths, self._offer = self.find_skipped, True, offer
        self.find_skipped = lambda path: rule(path) or others(path)

    def choose(self, authorizations: list[bytes]) -> RequestAuthenticator:
        """Who decides about a request: for one that brings an API token, nothing else counts.

        To be asked only if there is somebody ``for_api_tokens``.
        """
        brings_one = self._brings_api_token(authorizations)
        return (brings_one and self.for_api_tokens) or self

    def parse_request(
        self,
        method: str,
        cookies: list[bytes],
        authorizations: list[bytes],
        client: Client,
        passive: bool = False,  # noqa: FBT001, FBT002 - by position, on each request
    ) -> RequestSession:
        """Find out who a request comes from, as far as nothing has to be awaited.

        With a ``pending_check``, await the store, then call ``apply_data``, or have ``failing``
        pending. With a ``pending_flow``, now or after that, run it. ``method`` is
        ``"WEBSOCKET"`` for all that opens one.
        """
        settings, elsewhere = self.settings, None
        if method not in SAFE_METHODS:
            elsewhere = find_cross_site(partial(client[0], client[1]), settings.trusted_origins)
        session = self._make_session(settings, client, elsewhere)
        if not cookies and not authorizations:
            return session
        now = self._now()
        session.credentials = credentials = self._tokens.read(cookies, authorizations, now)
        tokens = credentials.tokens
        rotation = PASSIVE if passive else NEVER if method == "OPTIONS" else WHEN_DUE
        if not tokens:
            session.problem = credentials.problem
        elif elsewhere is not None and not credentials.by_authorization:
            session.problem = "cross_site"
            settings.report_cross_site("a session cookie counted for nothing", elsewhere)
        elif len(tokens) != 1:
            session.pending_flow = self._run(session, self._choose(session, now, rotation), now)
        else:
            check = tokens[0], now, rotation, credentials.transport
            if self._operations.find_near is not None:
                near = self._operations.nearby(check)
                if near is not None:
                    self._set_user(session, near, now)
                    return session
            if self.awaits:
                session.pending_check = check
                return session
            try:
                self.apply_data(session, check, self.manager.asked.read(tokens[0].sid))
            except StoreError as error:
                session.pending_flow = self.failing(session, error)
        return session

    def apply_data(self, session: RequestSession, check: Check, data: Any) -> None:
        """Apply what the store has read; a ``pending_flow`` where the session has to change."""
        if self._outages.pending:
            self.reporter.answered()
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
        is_newer = row.generation != credentials.sent_generation
        if is_newer and not (row.shared or row.bound_key):
            session.send_token(row, rotated_at=now)
            if self.manager.store.shared:
                self.manager.hub.start()  # another process may end it before the response

    def failing(self, session: RequestSession, error: StoreError) -> Flow[None]:
        """Note that the store could not be read, and emit the event."""
        session.store_failed = True
        yield self.reporter.failed("read", error)

    def _run(self, session: RequestSession, flow: Flow[Row | None], now: int) -> Flow[None]:
        with suppress(StoreError):
            self._set_user(session, (yield from session.noting_failure(flow)), now)

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
        session.credentials = replace(session.credentials, sent_generation=sent)
        return (yield from self._settle(*live[0]))

    def _settle(self, check: Check, data: Any) -> Flow[Row | None]:
        found = self._operations.interpret(check, data)
        return found if found is None or type(found) is Row else (yield from found)

    def prepare_response(self, session: RequestSession, status: int) -> ResponseChanges | None:
        """What the response of this status is to carry; ``None``: nothing of the session."""
        session.response_started = True
        for verb in session.not_awaited:
            self.reporter.logger.error(_NEVER_AWAITED, verb)
        changes = None
        if session.delivery is not NO_DELIVERY:
            changes = self._deliver(session, status)
        if session.store_failed and status >= _SERVER_ERROR:
            # With the token of a login that was done before the store failed.
            changes = (changes or ResponseChanges(status))._replace(
                status=UNAVAILABLE.status, extra=UNAVAILABLE.headers
            )
        return changes

    def _deliver(self, session: RequestSession, status: int) -> ResponseChanges | None:
        cookie, delivery = self.settings.cookie, session.delivery
        row, rotated_at = delivery.row, delivery.rotated_at
        set_cookies: tuple[str, ...] = ()
        if session.credentials.cookies > 1 and delivery.cookie in {"issue", "expire"}:
            # Those that this cookie would not replace would shadow it.
            set_cookies = cookie.expire_others()
        if delivery.cookie == "expire":
            set_cookies += (cookie.expire(),)
        if row is None:
            return ResponseChanges(status, set_cookies) if set_cookies else None
        now = self.manager.now()
        if self._operations.superseded.covers(row.sid, row.generation):
            return None  # the token has died since, or the client has a newer one
        if rotated_at is not None:
            # A late token may be older than what the client has, and a refusal hands out none:
            # the next response brings it. A grace too short for any view counts as a second.
            late = max(self._operations.policy.grace, SECOND)
            if status in _REFUSED or now - rotated_at > late:
                return None
        token = self._operations.codec.mint(row)
        if delivery.cookie in {"issue", "renew"}:
            ends_at = self._operations.sent_until(row)
            persists = row.remembered or bool(row.bound_key)
            seconds_left = max(1, -(-(ends_at - now) // SECOND))
            if len(token) <= cookie.longest_value:
                set_cookies += (cookie.issue(token, seconds_left, persists=persists),)
            else:
                self.reporter.logger.error(_TOO_LARGE, row.sid)
        header = token if delivery.by_header else None
        extra = () if self._offer is None else self._offer(session)
        return ResponseChanges(status, set_cookies, header, extra, by_itself=rotated_at is not None)


def _no_rule(_path: str) -> None:
    """No path is covered."""
