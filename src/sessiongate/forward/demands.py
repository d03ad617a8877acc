"""What the proxy's configuration demands of a request: the query of the URL that it asks."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from sessiongate.forward.original import MisconfiguredError
from sessiongate.kits.guard import Guard

_KNOWN: Final = ("scope", "fresh", "login", "redirect", "optional", "api_tokens", "audience")
_URI: Final = "&uri="


class Demands(NamedTuple):
    """The demands of one URL of a proxy's configuration."""

    guard: Guard
    without_login: Guard
    """The same, for those who are not sent to a login page."""
    login_elsewhere: bool
    """Whether the login page is on another host, so that the way back names this one."""
    by_header: bool
    """Whether the way to the login goes into ``X-Login-Location``, for nginx."""
    optional: bool
    audience: str | None


@lru_cache(maxsize=256)
def read_demands(query: str) -> Demands:
    """The demands in a query; remembered, for a proxy's configuration has few.

    Raises:
        MisconfiguredError: One is unknown, malformed, or there twice.
    """
    try:
        return _parse(query)
    except (ValueError, TypeError) as error:
        msg = f"the demands {query[:200]!r} in the proxy's configuration are wrong: {error}"
        raise MisconfiguredError(msg) from None


def split_uri(query: str) -> tuple[str, str | None]:
    """Demands, and the original URI that Envoy wrote behind them, whatever that holds."""
    demands, mark, uri = f"&{query}".partition(_URI)
    return demands[1:], uri if mark else None


def _parse(query: str) -> Demands:
    pairs = parse_qsl(
        query,
        keep_blank_values=True,
        strict_parsing=bool(query),
        errors="strict",
        max_num_fields=64,
    )
    single: dict[str, str] = {}
    for name, value in pairs:
        if name not in _KNOWN:
            _refuse(f"there is no {name!r}, only {', '.join(_KNOWN)}")
        if not value:
            _refuse(f"{name!r} is empty")
        if name in single and name != "scope":
            _refuse(f"{name!r} is there twice")
        single[name] = value
    scopes = [value for name, value in pairs if name == "scope"]
    fresh = float(single["fresh"]) if "fresh" in single else None
    login = single.get("login")
    for name, only in (("optional", "1"), ("api_tokens", "1"), ("redirect", "header")):
        if single.get(name, only) != only:
            _refuse(f"write {name}={only}, or leave it out")
    if "redirect" in single and login is None:
        _refuse("redirect=header needs login=")
    api_tokens = True if "api_tokens" in single else None
    return Demands(
        Guard(scopes=scopes, fresh=fresh, api_tokens=api_tokens, login_url=login),
        Guard(scopes=scopes, fresh=fresh, api_tokens=api_tokens),
        login_elsewhere=login is not None and _is_elsewhere(login),
        by_header="redirect" in single,
        optional="optional" in single,
        audience=single.get("audience"),
    )


def _is_elsewhere(login: str) -> bool:
    parts = urlsplit(login)
    if parts.scheme in {"http", "https"} and parts.netloc:
        return True
    if not login.startswith("/") or login.startswith(("//", "/\\")):
        _refuse(f"login={login!r} must be a path such as /login, or a URL with https://")
    return False


def _refuse(msg: str) -> None:
    raise ValueError(msg)
