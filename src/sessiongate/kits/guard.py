"""What a protected view demands of a request, once for all frameworks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypedDict
from urllib.parse import quote, urlsplit

from sessiongate.core.arguments import Seconds, check_scopes, microseconds
from sessiongate.core.row import SECOND
from sessiongate.kits import refusals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessiongate.http.refusals import Refusal
    from sessiongate.http.request_session import RequestSession

_LONGEST_WAY: Final = 2048
"""Characters of a path and query that a redirect carries as the way back."""

_ADDRESS: Final = ("/", "http://", "https://", "?")
"""How a login URL begins; anything else is the name of a route."""

_RESERVED: Final = "%:/?#[]@!$&'()*+,;="
"""What a URL may hold as it is (RFC 3986, section 2); frameworks encode theirs, or do not."""


LoginURL: TypeAlias = str | Callable[..., str]
"""Where people log in: a path or URL, the name of a route, or a function that gives either."""


class Page(NamedTuple):
    """A request that may be a browser's for a page."""

    method: str
    path: str
    """As routed, so decoded."""
    query: str
    """As the client wrote it."""
    accept: str
    fetch_mode: str
    prefix: str
    """What the app is mounted under: ``SCRIPT_NAME`` or ``root_path``; ``""`` for the root."""
    locate: Callable[[LoginURL], str]
    """The URL of a route by its name, or what a function of the app gives."""

    @property
    def target(self) -> str:
        """Path and query, to come back to."""
        path = under_prefix(quote_path(self.path), quote_path(self.prefix))
        return f"{path}?{self.query}" if self.query else path

    @property
    def is_browsed(self) -> bool:
        """Whether a browser requests a page, so that a person sees the redirect.

        ``Accept`` names ``text/html``, or there is no ``Accept`` at all. One that
        names other types only, ``*/*`` among them, is a script's or a tool's, such as
        ``fetch()`` or curl. So is a ``Sec-Fetch-Mode`` other than ``navigate``.
        """
        return self.fetch_mode in {"", "navigate"} and (
            not self.accept or "text/html" in self.accept.lower()
        )


class GuardOptions(TypedDict, total=False):
    """The keywords of ``login_required``; ``Guard`` says what each means."""

    scopes: Iterable[str]
    fresh: Seconds | None
    login_url: LoginURL | None


class Guard:
    """The demands of one ``login_required``.

    Args:
        scopes: All of them are needed; missing ones are a 403.
        fresh: Seconds since the user last proved who they are, at most;
            ``None``: no matter. ``login`` renews it, rotation does not.
        login_url: Where a person in a browser is sent instead of a 401, with
            the way back in the query parameter ``next``: a path within the
            app, a whole URL, the name of a route, or a function that gives one
            of them. ``Page.is_browsed`` says what counts as a browser.
    """

    def __init__(
        self,
        *,
        scopes: Iterable[str] = (),
        fresh: Seconds | None = None,
        login_url: LoginURL | None = None,
    ) -> None:
        self._scopes = check_scopes(scopes)
        self._fresh = None if fresh is None else microseconds(fresh, "fresh") / SECOND
        is_usable = callable(login_url) or (isinstance(login_url, str) and login_url)
        if login_url is not None and not is_usable:
            msg = (
                "login_url must be the address of the login page, such as '/login', the name of "
                "its route, or a function that gives one of them"
            )
            raise TypeError(msg)
        if inspect.iscoroutinefunction(login_url):
            msg = "login_url must not be an async function: it is called, not awaited"
            raise TypeError(msg)
        self._login_url = login_url

    def check(self, session: RequestSession, describe: Callable[[], Page | None]) -> Refusal | None:
        """Why the request is refused, or ``None``.

        ``describe`` gives the page, where it matters; ``None`` for a websocket.
        """
        user, realm = session.user, session.settings.realm
        if not user.is_authenticated:
            if session.problem == "cross_site":
                return refusals.CROSS_SITE  # the login page would come from that site as well
            refusal = _refuse_anonymous(session, realm)
        elif (lacking := self.check_scopes(user.scopes, realm)) is not None:
            return lacking
        elif self._fresh is not None and (session.age or 0) > self._fresh:
            refusal = refusals.stale_login(realm, int(self._fresh))
        else:
            return None
        if self._login_url is None or session.credentials.by_authorization:
            return refusal
        page = describe()
        if page is None or not page.is_browsed:
            return refusal
        return refusals.redirect(_with_way_back(self._login_url, page))

    def check_scopes(self, scopes: Iterable[str], realm: str) -> Refusal | None:
        """Why a user with these scopes is refused, or ``None``."""
        if not self._scopes or set(self._scopes) <= set(scopes):
            return None
        return refusals.insufficient_scope(realm, self._scopes)


def _refuse_anonymous(session: RequestSession, realm: str) -> Refusal:
    if session.problem == "invalid_request":
        two_sessions = session.credentials.problem is None  # the fields are well-formed
        return refusals.invalid_request(realm, two_sessions=two_sessions)
    return refusals.login_required(realm, invalid_token=session.problem == "invalid_token")


def _with_way_back(login_url: LoginURL, page: Page) -> str:
    """The login page, with the way back where the request can be repeated."""
    url = page.locate(login_url) if callable(login_url) else login_url
    if not url.startswith(_ADDRESS):
        url = page.locate(url)
    url = under_prefix(quote(url, safe=_RESERVED), quote_path(page.prefix))
    if page.method not in {"GET", "HEAD"} or len(page.path) + len(page.query) > _LONGEST_WAY:
        return url
    separator = "&" if urlsplit(url).query else "?"
    return f"{url}{separator}next={quote(page.target, safe='/')}"


def under_prefix(url: str, prefix: str) -> str:
    """A path of the app as the client knows it; one that has the prefix, and a whole URL, stay."""
    if not url.startswith("/") or url.startswith("//"):
        return url
    prefix = prefix.rstrip("/")
    if url == prefix or url.startswith((f"{prefix}/", f"{prefix}?")):
        return url
    return prefix + url


def check_view(view: object, for_classes: str) -> None:
    """Refuse to decorate what is no function, and say what to do instead."""
    if isinstance(view, type):
        msg = f"login_required is for functions: {for_classes}"
        raise TypeError(msg)
    if not callable(view):
        msg = "login_required takes keywords, such as scopes=['read'] or login_url='/login'"
        raise TypeError(msg)


def quote_path(path: str) -> str:
    """A decoded path as it stands in a URL (RFC 3986, section 3.3)."""
    return quote(path, safe="/:@!$&'()*+,;=~")


def safe_redirect(target: str | None, default: str = "/") -> str:
    """``target`` if it stays on this site, else ``default``.

    For the ``next`` parameter of a login page, which anybody can write (OWASP
    Unvalidated Redirects and Forwards Cheat Sheet). Only a path that begins
    with one slash stays; browsers read a backslash as a slash.
    """
    if (
        not isinstance(target, str)
        or not target.startswith("/")
        or target.startswith(("//", "/\\"))
        or any(ord(c) <= ord(" ") or c == "\x7f" for c in target)
    ):
        return default
    return target
