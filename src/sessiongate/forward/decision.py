"""What a proxy is answered, in one text for both stacks."""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from sessiongate.core.arguments import check_choice
from sessiongate.errors import ConfigurationError, NoSessionError
from sessiongate.forward.demands import Demands, read_demands, split_uri
from sessiongate.forward.original import (
    PROXIES,
    MisconfiguredError,
    Original,
    OriginalPage,
    Proxy,
    read_original,
)
from sessiongate.http.refusals import Refusal, refuse
from sessiongate.kits.guard import SEE_OTHER
from sessiongate.reports.outages import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from sessiongate.http.request_session import RequestSession
    from sessiongate.http.settings import MiddlewareOptions
    from sessiongate.managers import SessionManager

    Question: TypeAlias = tuple[Original, Demands]

KEY: Final = "sessiongate.forward"
"""Where scope and environ keep the question."""

_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_IN_NAME: Final = "!$&'()*+,;=:@/"
"""What stays in a username, besides letters, digits and ``-._~`` (RFC 3986, section 3.3)."""
_WRONG: Final = "The proxy's configuration is wrong. The log of the gate says how.\n"
_ENDING: Final = refuse(401, "The session is ending.\n", ("WWW-Authenticate", "Bearer"))


@lru_cache(maxsize=1024)
def _encode_name(username: str) -> str:
    return quote(username, safe=_IN_NAME)


def check_options(options: MiddlewareOptions) -> None:
    """Refuse what only the app where people log in can do."""
    if options.get("device_bound"):
        msg = "device_bound is for the app where people log in; a gate sees who is bound without it"
        raise ConfigurationError(msg)


class IssuesTokens(Protocol):
    """What ``service_tokens`` has to be able to do; ``ServiceTokens`` is."""

    def issue(
        self, request_session: RequestSession, audience: str, scopes: Iterable[str] | None = None
    ) -> str:
        """A token by which the service ``audience`` knows the user.

        Raises:
            NoSessionError: The session ends before a token could be used.
            ValueError: There are no tokens for this audience.
        """
        ...


class Decisions:
    """The decisions of one app. Safe for threads and tasks."""

    def __init__(
        self,
        manager: SessionManager,
        user_header: str,
        scopes_header: str,
        service_tokens: IssuesTokens | None,
        proxy: Proxy,
    ) -> None:
        names = (user_header, scopes_header)
        apart = {"authorization", "set-cookie", *(name.lower() for name in names)}
        if len(apart) != 2 + len(names) or not all(map(_HEADER.fullmatch, names)):
            msg = (
                "user_header and scopes_header must be names of two headers, such as "
                "'Remote-User'; without an underscore, which proxies drop"
            )
            raise ConfigurationError(msg)
        self.proxy: Proxy = check_choice(proxy, "proxy", PROXIES)
        self._names = (*names, "Authorization")
        self._service_tokens = service_tokens
        self._manager = manager
        self._reports = {400: Throttle(), 500: Throttle()}

    def read(
        self, fields: Iterable[tuple[bytes, bytes]], method: str, query: str
    ) -> Question | Refusal:
        """Which request the proxy asks about, and what it demands; a refusal if that is unclear."""
        uri = None
        try:
            if self.proxy == "envoy":
                query, uri = split_uri(query)
            demands = read_demands(query)
            if demands.audience is not None and self._service_tokens is None:
                msg = f"audience={demands.audience!r} is demanded: pass service_tokens= to the app"
                return self._report(500, msg)
        except MisconfiguredError as error:
            return self._report(500, error)
        try:
            return read_original(fields, self.proxy, (method, uri)), demands
        except MisconfiguredError as error:
            return self._report(400, error)

    def answer(
        self, session: RequestSession, question: Question, header: Callable[[str, str], str]
    ) -> Refusal:
        """What the proxy is answered; a 200 as well has the form of a refusal.

        ``header`` gives the value of a field of the request, or its second argument.
        """
        original, demands = question
        user = session.user
        if user.is_authenticated or not demands.optional:

            def describe() -> OriginalPage | None:
                return None if original.is_websocket else _page_of(original, demands, header)

            refusal = demands.guard.check(session, describe)
            if refusal is not None:
                if refusal.status != SEE_OTHER or not demands.by_header:
                    return refusal
                # nginx passes on nothing but 401 and 403.
                inner = demands.without_login.check(session, describe) or refusal
                location = ("X-Login-Location", dict(refusal.headers)["Location"])
                return Refusal(401, inner.text, (*inner.headers, location))
        authorization = ""
        if demands.audience is not None and user.is_authenticated and self._service_tokens:
            try:
                token = self._service_tokens.issue(session, audience=demands.audience)
            except NoSessionError:
                return _ENDING
            except ValueError as error:
                return self._report(500, error)
            authorization = f"Bearer {token}"
        # All of them, always: what the client sent under these names must not survive.
        values = _encode_name(user.display_name), " ".join(user.scopes), authorization
        return Refusal(200, "", tuple(zip(self._names, values, strict=True)))

    def _report(self, status: int, what: object) -> Refusal:
        if self._reports[status].passes(self._manager.now()):
            self._manager.logger.error("forward auth let nobody in: %s", what)
        return refuse(status, _WRONG)


def _page_of(
    original: Original, demands: Demands, header: Callable[[str, str], str]
) -> OriginalPage:
    path, _, query = original.uri.partition("?")
    origin = f"{original.scheme}://{original.host}" if demands.login_elsewhere else ""
    return OriginalPage(original.method, path, query, header, origin, str)


def fields_of(answer: Refusal) -> list[tuple[str, str]]:
    """The header fields of an answer, with those of its text."""
    fields = [*answer.headers, ("Content-Length", str(len(answer.text)))]
    return [*fields, ("Content-Type", "text/plain")] if answer.text else fields


def status_line(answer: Refusal) -> str:
    """The status as WSGI has it."""
    return f"{answer.status} {HTTPStatus(answer.status).phrase}"
