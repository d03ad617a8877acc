"""The settings of one middleware, checked once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypedDict

from sessiongate.core.arguments import check_text
from sessiongate.core.diagnostics import Throttle
from sessiongate.errors import ConfigurationError
from sessiongate.http.cookies import SessionCookie
from sessiongate.http.csrf import check_origins
from sessiongate.managers import SessionManager
from sessiongate.tokens import LONGEST_TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessiongate.http.credentials import Transport
    from sessiongate.http.csrf import CrossSite

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_REALM: Final = re.compile(r"[ !#-\[\]-~]*")
_CROSS_SITE: Final = (
    "%s: it came from another site (%s), this one is %r. If that site is yours, "
    "pass it to the middleware in trusted_origins; behind a proxy, have it keep the Host header"
)


class MiddlewareOptions(TypedDict, total=False):
    """The keywords of both middlewares; ``MiddlewareSettings`` says what each means."""

    cookie: SessionCookie | None
    refreshed_token_header: str
    trusted_origins: Iterable[str]
    realm: str
    record_device: bool


class MiddlewareSettings:
    """The settings of one middleware over one manager. Immutable; safe for threads and tasks.

    Args:
        manager: Any of the three managers.
        cookie: The session cookie; strict by default, ``SessionCookie.for_http()``
            for development without TLS.
        refreshed_token_header: The response header that carries a token to
            bearer clients.
        trusted_origins: Other origins, such as ``"https://app.example.com"``,
            whose unsafe requests may use our cookie.
        realm: Named in ``WWW-Authenticate`` challenges.
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
        self.manager = manager
        self.inform = manager.information
        self.cookie = SessionCookie() if cookie is None else cookie
        self.refreshed_token_header = refreshed_token_header
        self.trusted_origins = check_origins(trusted_origins)
        self.realm = realm
        self.record_device = record_device
        self._reports: dict[str, Throttle] = {}

    def longest_token(self, transport: Transport) -> int:
        """Characters of a token that fit into this way to carry it."""
        return self.cookie.longest_value if transport == "cookie" else LONGEST_TOKEN

    def report_cross_site(self, what_happened: str, cross_site: CrossSite) -> None:
        """Log what another site asked for, once a minute for each thing that can happen."""
        throttle = self._reports.setdefault(what_happened, Throttle())
        if throttle.passes(self.manager.now()):
            origin, host = cross_site
            self.manager.logger.warning(_CROSS_SITE, what_happened, origin, host)
