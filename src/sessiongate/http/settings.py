"""The settings of one middleware, checked once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypedDict

from sessiongate.core.arguments import Seconds, check_flag, check_text
from sessiongate.errors import ConfigurationError
from sessiongate.http.cookies import SessionCookie
from sessiongate.http.origin import check_origins
from sessiongate.http.paths import path_rules
from sessiongate.managers import SessionManager
from sessiongate.reports.outages import Throttle
from sessiongate.tokens import LONGEST_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sessiongate.core.row import Row
    from sessiongate.http.credentials import Transport
    from sessiongate.http.origin import CrossSite
    from sessiongate.http.paths import FindRule, Paths
    from sessiongate.machines.api_tokens import APITokens

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_BOUND_FOR: Final = 600
_REALM: Final = re.compile(r"[ !#-\[\]-~]*")
_CROSS_SITE: Final = (
    "%s: it came from another site (%s), this one is %r. If that site is yours, "
    "pass it to the middleware in trusted_origins; behind a proxy, have it keep the Host header"
)
_SKIPPED: Final = (
    "skip=%r covers %r, which login_required protects: no credential is read there, so nobody is "
    "let in. Take the path out of skip, or the guard off the view"
)


class MiddlewareOptions(TypedDict, total=False):
    """The keywords of both middlewares; ``MiddlewareSettings`` says what each means."""

    cookie: SessionCookie | None
    refreshed_token_header: str
    trusted_origins: Iterable[str]
    realm: str
    record_device: bool
    passive: Paths
    skip: Paths
    api_tokens: APITokens | None
    device_bound: bool
    bound_for: Seconds


class MiddlewareSettings:
    """The settings of one middleware over one manager. Immutable; safe for threads and tasks.

    Args:
        manager: Any of the three managers.
        cookie: The session cookie; ``SessionCookie.for_http()`` for development without TLS.
        refreshed_token_header: The response header that carries a token to bearer clients.
        trusted_origins: Other origins, such as ``"https://app.example.com"``,
            whose unsafe requests may use our cookie.
        realm: Named in ``WWW-Authenticate`` challenges.
        record_device: Keep the user agent and the IP with a session that is
            opened by ``login`` without ``device=``, until it ends.
        passive: Paths whose requests are answered as usual, but do not count as activity: they
            neither rotate the token nor extend the session. For polls. Prefixes match whole
            segments of the path below ``root_path`` or ``SCRIPT_NAME``; or a function of that path.
        skip: Paths whose requests are anonymous: no credential is read. For
            static files and health checks, never for a login or logout page.
        api_tokens: Accept these as ``Authorization: Bearer sgp_…``, for the views that say
            ``scopes=`` or ``api_tokens=True``. ``None``: an API token is not valid.
        device_bound: Experimental. Have browsers that can (DBSC, a W3C draft) bind the session to
            a key of their device at the login, and renew the cookie by proofs of that key: a
            copied cookie is soon dead. Others keep the ordinary session. Needs the extra
            ``crypto``. The middleware answers two paths below ``/.sessiongate/`` itself.
        bound_for: Seconds that a bound cookie lives after a proof, 300 at the least.

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each rule
        self,
        manager: SessionManager,
        *,
        cookie: SessionCookie | None = None,
        refreshed_token_header: str = "X-Refreshed-Token",  # noqa: S107 - a name, no secret
        trusted_origins: Iterable[str] = (),
        realm: str = "sessiongate",
        record_device: bool = True,
        passive: Paths = (),
        skip: Paths = (),
        api_tokens: APITokens | None = None,
        device_bound: bool = False,
        bound_for: Seconds = _BOUND_FOR,
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
        tokens_manager = getattr(api_tokens, "manager", None)
        if api_tokens is not None and not isinstance(tokens_manager, SessionManager):
            msg = "api_tokens must be an APITokens, such as APITokens(store=…, secret_key=…)"
            raise TypeError(msg)
        if api_tokens is not None and api_tokens.manager.store is manager.store:
            msg = (
                "api_tokens are kept in the store of the sessions, where limits and lists would "
                "mix: give them another file, prefix or schema"
            )
            raise ConfigurationError(msg)
        self.manager = manager
        self.api_tokens = api_tokens
        self.inform: Callable[[Row | None], dict[str, Any] | None] = manager.information
        self.cookie: SessionCookie = SessionCookie() if cookie is None else cookie
        self.refreshed_token_header = refreshed_token_header
        self.trusted_origins: frozenset[str] = check_origins(trusted_origins)
        self.realm = realm
        self.record_device = record_device
        self.device_bound: bool = check_flag(device_bound, "device_bound")
        self.bound_for = bound_for
        if bound_for != _BOUND_FOR and not device_bound:
            msg = "bound_for is for device_bound=True: pass both, or leave bound_for out"
            raise ConfigurationError(msg)
        self.passive: FindRule | None = path_rules(passive, "passive")
        self.skip: FindRule | None = path_rules(skip, "skip")
        self._reports: dict[str, Throttle] = {}
        self._skipped_and_guarded: set[str] = set()

    def longest_token(self, transport: Transport) -> int:
        """Characters of a token that fit into this way to carry it."""
        room_to_grow = 16  # for the generation
        return self.cookie.longest_value - room_to_grow if transport == "cookie" else LONGEST_TOKEN

    def report_skipped(self, rule: str, path: str) -> None:
        """Log, once for each rule, that a guard protects what is skipped."""
        if rule not in self._skipped_and_guarded:
            self._skipped_and_guarded.add(rule)
            self.manager.logger.warning(_SKIPPED, rule, path)

    def report_cross_site(self, what_happened: str, cross_site: CrossSite) -> None:
        """Log what another site asked for, once a minute for each thing that can happen."""
        throttle = self._reports.setdefault(what_happened, Throttle())
        if throttle.passes(self.manager.now()):
            origin, host = cross_site
            self.manager.logger.warning(_CROSS_SITE, what_happened, origin, host)
