"""What each kind of client does with a token: it keeps it as it would keep the server's."""

from __future__ import annotations

import inspect
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from sessiongate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from sessiongate.http.response import ResponseChanges
    from sessiongate.http.settings import MiddlewareSettings

__all__ = ["Seat", "seats_of"]


class Seat(Protocol):
    """The place of the token in a client."""

    def keep(self, changes: ResponseChanges) -> None:
        """Take what the response to a login carries."""
        ...

    def forget(self) -> None:
        """Be nobody: drop the cookie, and the bearer token that was put here."""
        ...

    @property
    def token(self) -> str | None:
        """What the client presents with its next request."""
        ...


def seats_of(client: Any) -> Callable[[MiddlewareSettings, str | None], Seat]:
    """What makes the seat in a client, by its class: a function of settings and a base URL.

    Raises:
        TypeError: It is no client, or none of those that are known.
    """
    for cls in type(client).__mro__:
        library = cls.__module__.partition(".")[0]
        if library == "werkzeug" and cls.__name__ == "Client":
            return partial(_InWerkzeug, client)
        if library in {"httpx", "httpx2"} and cls.__name__ in {"Client", "AsyncClient"}:
            return partial(_InHttpx, client, import_module(library))
        if library == "quart" and cls.__name__ == "QuartClient":
            return partial(_InQuart, client)
        if library == "django" and cls.__name__ in {"Client", "AsyncClient"}:
            return partial(_InDjango, client)
    msg = (
        "client must be Flask's or Quart's app.test_client(), a Client of werkzeug.test or "
        "django.test, the TestClient(app) of Starlette or Litestar, an httpx.Client or an "
        f"httpx.AsyncClient, not {type(client).__name__}; "
        "for others, send the token of manager.create_session(…) yourself"
    )
    raise TypeError(msg)


class _Bearer:
    """A bearer token that follows its rotation, as API clients do it."""

    def __init__(self, token: str, header: str) -> None:
        self.token = token
        self._header = header

    @property
    def authorization(self) -> str:
        return f"Bearer {self.token}"

    def follow(self, headers: Any) -> None:
        """Go on with the token of a response, if it brings one."""
        self.token = headers.get(self._header) or self.token


class _InWerkzeug:
    """For ``werkzeug.test.Client`` and so for Flask's; its jar does not ask for HTTPS."""

    def __init__(self, client: Any, settings: MiddlewareSettings, base_url: str | None) -> None:
        self._client = client
        self._settings = settings
        # Where Flask's client asks if a request does not say otherwise.
        config = getattr(client.application, "config", {})
        address = base_url or f"//{config.get('SERVER_NAME') or 'localhost'}"
        self._host = urlsplit(address).hostname or ""

    def keep(self, changes: ResponseChanges) -> None:
        cookie = self._settings.cookie
        if changes.token is not None:
            self._send_along(_Bearer(changes.token, self._settings.refreshed_token_header))
            return
        domain = self._place["domain"]
        if self._host != domain and not self._host.endswith(f".{domain}"):
            raise _out_of_place(self._settings, self._host)
        self._client.set_cookie(
            cookie.name,
            _value(changes),
            **self._place,
            origin_only=cookie.domain is None,
            secure=cookie.secure,
            httponly=True,
            samesite=cookie.same_site,
            max_size=0,
        )

    def forget(self) -> None:
        self._client.delete_cookie(self._settings.cookie.name, **self._place)
        if self._bearer is not None:
            del self._client.run_wsgi_app

    @property
    def token(self) -> str | None:
        if self._bearer is not None:
            return self._bearer.token
        kept = self._client.get_cookie(self._settings.cookie.name, **self._place)
        return None if kept is None else kept.value

    @property
    def _place(self) -> dict[str, str]:
        """What names the cookie in the jar, as a ``Set-Cookie`` of the server would."""
        cookie = self._settings.cookie
        return {"domain": cookie.domain or self._host, "path": cookie.path}

    @property
    def _bearer(self) -> _Bearer | None:
        return getattr(self._client.__dict__.get("run_wsgi_app"), "bearer", None)

    def _send_along(self, bearer: _Bearer) -> None:
        """Put the header into each request that names no other, redirected ones included."""
        run = self._client.run_wsgi_app

        def run_wsgi_app(environ: Any, buffered: bool = False) -> Any:  # noqa: FBT001, FBT002 - as there
            environ.setdefault("HTTP_AUTHORIZATION", bearer.authorization)
            answer = run(environ, buffered)
            bearer.follow(answer[2])
            return answer

        run_wsgi_app.bearer = bearer  # type: ignore[attr-defined] # to be found again
        self._client.run_wsgi_app = run_wsgi_app


class _InHttpx:
    """For the clients of httpx, of httpx2 and so Starlette's, in both colours."""

    def __init__(
        self, client: Any, library: Any, settings: MiddlewareSettings, base_url: str | None
    ) -> None:
        self._client = client
        self._library = library
        self._settings = settings
        self._address = base_url or "/"

    def keep(self, changes: ResponseChanges) -> None:
        if changes.token is not None:
            bearer = _Bearer(changes.token, self._settings.refreshed_token_header)
            self._client.auth = _bearer_auth(self._library, bearer)
            return
        request = self._client.build_request("GET", self._address)
        if not request.url.host:
            msg = "this client asks no server in particular: make it with base_url=, or pass it"
            raise ConfigurationError(msg)
        # The jar gets the very line that a login view would send: so a rotation and a logout
        # find the same entry in it.
        headers = [("Set-Cookie", changes.set_cookies[-1])]
        response = self._library.Response(200, headers=headers, request=request)
        self._client.cookies.extract_cookies(response)
        self._check(request.url)

    def forget(self) -> None:
        jar = self._client.cookies.jar
        for cookie in [one for one in jar if one.name == self._settings.cookie.name]:
            jar.clear(cookie.domain, cookie.path, cookie.name)
        if self._bearer is not None:
            self._client.auth = None

    @property
    def token(self) -> str | None:
        if self._bearer is not None:
            return self._bearer.token
        ours = self._settings.cookie.name
        return next((one.value for one in self._client.cookies.jar if one.name == ours), None)

    @property
    def _bearer(self) -> _Bearer | None:
        return getattr(self._client.auth, "bearer", None)

    def _check(self, asked: Any) -> None:
        """See that the jar has taken the cookie and gives it out again."""
        cookie = self._settings.cookie
        request = self._client.build_request("GET", asked.join(cookie.path))
        if f"{cookie.name}={self.token}" in request.headers.get("Cookie", "").split("; "):
            return
        if cookie.secure and asked.scheme == "http":
            msg = (
                f"the cookie {cookie.name!r} is Secure, and this client speaks plain http, where "
                "it would not be sent. Make the client with "
                f"base_url='https://{asked.netloc.decode()}'; or, if the app runs on plain http in "
                "development, give its middleware cookie=SessionCookie.for_http()"
            )
            raise ConfigurationError(msg)
        raise _out_of_place(self._settings, asked.host)


class _InQuart:
    """For Quart's client; its jar does not ask for HTTPS, nor for the host."""

    def __init__(self, client: Any, settings: MiddlewareSettings, base_url: str | None) -> None:
        self._client = client
        self._settings = settings
        # Where the client asks if a request does not say otherwise.
        address = base_url or f"//{client.app.config.get('SERVER_NAME') or 'localhost'}"
        self._host = urlsplit(address).hostname or ""

    def keep(self, changes: ResponseChanges) -> None:
        if changes.token is not None:
            self._send_along(_Bearer(changes.token, self._settings.refreshed_token_header))
            return
        if self._client.cookie_jar is None:
            msg = "this client keeps no cookies: make it with use_cookies=True"
            raise ConfigurationError(msg)
        cookie = self._settings.cookie
        self._client.set_cookie(
            self._host,
            cookie.name,
            _value(changes),
            path=cookie.path,
            domain=cookie.domain,
            secure=cookie.secure,
            httponly=True,
            samesite=cookie.same_site,
        )
        if self.token is None:
            raise _out_of_place(self._settings, self._host)

    def forget(self) -> None:
        for cookie in self._ours():
            self._client.cookie_jar.clear(cookie.domain, cookie.path, cookie.name)
        if self._bearer is not None:
            del self._client.open, self._client.websocket

    @property
    def token(self) -> str | None:
        if self._bearer is not None:
            return self._bearer.token
        return next((cookie.value for cookie in self._ours()), None)

    def _ours(self) -> list[Any]:
        name = self._settings.cookie.name
        return [cookie for cookie in self._client.cookie_jar or () if cookie.name == name]

    @property
    def _bearer(self) -> _Bearer | None:
        return getattr(self._client.__dict__.get("open"), "bearer", None)

    def _send_along(self, bearer: _Bearer) -> None:
        send, connect = self._client.open, self._client.websocket

        async def open_(path: str, *, headers: Any = None, **options: Any) -> Any:
            answer = await send(path, headers=_with(bearer, headers), **options)
            bearer.follow(answer.headers)
            return answer

        def websocket(path: str, *, headers: Any = None, **options: Any) -> Any:
            return connect(path, headers=_with(bearer, headers), **options)

        open_.bearer = bearer  # type: ignore[attr-defined] # to be found again
        self._client.open, self._client.websocket = open_, websocket


class _InDjango:
    """For ``django.test.Client`` and its async twin; they send each cookie everywhere."""

    def __init__(self, client: Any, settings: MiddlewareSettings, _base_url: str | None) -> None:
        self._client = client
        self._settings = settings

    def keep(self, changes: ResponseChanges) -> None:
        if changes.token is not None:
            self._send_along(_Bearer(changes.token, self._settings.refreshed_token_header))
        else:
            self._client.cookies[self._settings.cookie.name] = _value(changes)

    def forget(self) -> None:
        self._client.cookies.pop(self._settings.cookie.name, None)
        if self._bearer is not None:
            del self._client.generic

    @property
    def token(self) -> str | None:
        if self._bearer is not None:
            return self._bearer.token
        kept = self._client.cookies.get(self._settings.cookie.name)
        return (kept.value or None) if kept is not None else None

    @property
    def _bearer(self) -> _Bearer | None:
        return getattr(self._client.__dict__.get("generic"), "bearer", None)

    def _send_along(self, bearer: _Bearer) -> None:
        send = self._client.generic

        async def awaited(answer: Any) -> Any:
            return followed(await answer)

        def followed(answer: Any) -> Any:
            bearer.follow(answer.headers)
            return answer

        def generic(*where: Any, headers: Any = None, **options: Any) -> Any:
            if not {"HTTP_AUTHORIZATION", "AUTHORIZATION"} & options.keys():
                headers = _with(bearer, headers)
            answer = send(*where, headers=headers, **options)
            return awaited(answer) if inspect.isawaitable(answer) else followed(answer)

        generic.bearer = bearer  # type: ignore[attr-defined] # to be found again
        self._client.generic = generic


def _with(bearer: _Bearer, headers: Any) -> dict[str, Any]:
    """The headers of a request, with the token in those that name no other."""
    given = dict(headers or {})
    if not any(name.lower() == "authorization" for name in given):
        given["Authorization"] = bearer.authorization
    return given


def _bearer_auth(library: Any, bearer: _Bearer) -> Any:
    class BearerAuth(library.Auth):  # type: ignore[misc] # httpx or httpx2, whichever it is
        def __init__(self) -> None:
            self.bearer: Final = bearer

        def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
            request.headers.setdefault("Authorization", bearer.authorization)
            response = yield request
            for one in (*response.history, response):
                bearer.follow(one.headers)

    return BearerAuth()


def _value(changes: ResponseChanges) -> str:
    """The token in a ``Set-Cookie``; it holds no semicolon."""
    return (
        (changes.set_cookies[-1] if changes.set_cookies else "").partition(";")[0].partition("=")[2]
    )


def _out_of_place(settings: MiddlewareSettings, host: str) -> ConfigurationError:
    domain = settings.cookie.domain or host
    return ConfigurationError(
        f"the cookie {settings.cookie.name!r} of the domain {domain!r} is not for {host!r}: "
        f"make the client with base_url='https://{domain}', or pass base_url= where it has none"
    )
