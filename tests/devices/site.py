"""An app with “my devices” in it, on either stack, and a client that asks it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from fastapi import FastAPI
from flask import Flask, render_template_string
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient

from sessiongate import APITokens, SessionManager
from sessiongate.asgi import SessionAuthMiddleware as ASGIMiddleware
from sessiongate.devices import flask as for_flask
from sessiongate.devices import starlette as for_starlette
from sessiongate.stores import MemoryStore
from sessiongate.testing import CountingStore, ManualClock
from sessiongate.wsgi import SessionAuthMiddleware as WSGIMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessiongate.devices import DevicesPage
    from sessiongate.events import Event
    from sessiongate.stores import Store

__all__ = ["STACKS", "Element", "Reply", "Site", "Stack", "elements", "make_site"]

Stack: TypeAlias = Literal["flask", "starlette", "fastapi"]
STACKS = ("flask", "starlette", "fastapi")
COOKIE = "__Host-session"
HTML = {"Accept": "text/html,application/xhtml+xml"}


@dataclass(frozen=True)
class Element:
    """A tag of a document, with the text inside it."""

    tag: str
    attributes: dict[str, str | None]
    text: str
    path: tuple[str, ...]
    """The tags it stands in."""


class _Reader(HTMLParser):
    VOID = frozenset({"meta", "link", "input", "br", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str], tuple[str, ...]]] = []
        self.open: list[tuple[str, list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        text: list[str] = []
        self.found.append((tag, dict(attrs), text, tuple(name for name, _ in self.open)))
        if tag not in self.VOID:
            self.open.append((tag, text))

    def handle_endtag(self, tag: str) -> None:
        name, _ = self.open.pop()
        assert name == tag, f"</{tag}> closes <{name}>"

    def handle_data(self, data: str) -> None:
        for _, text in self.open:
            text.append(data)


def elements(document: str) -> list[Element]:
    """All elements, of a document whose tags are closed as they were opened."""
    reader = _Reader()
    reader.feed(document)
    reader.close()
    assert not reader.open, f"left open: {reader.open}"
    return [
        Element(tag, attributes, " ".join(" ".join(text).split()), path)
        for tag, attributes, text, path in reader.found
    ]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.text)

    def all(self, tag: str) -> list[Element]:
        return [element for element in elements(self.text) if tag in {element.tag, "*"}]

    @property
    def names(self) -> list[str]:
        """The devices that a page shows, in its order."""
        return [element.text for element in self.all("h2")]


@dataclass
class Site:
    """A manager on a clock to move, and the app that asks it."""

    stack: Stack
    app: Any
    manager: SessionManager
    clock: ManualClock
    store: CountingStore
    events: list[Event]
    api: APITokens | None = None
    """Those that the page shows, and the middleware takes."""

    def open(self, username: str = "alice", device: Any = None) -> str:
        """A session that was opened elsewhere: its token."""
        token = self.manager.create_session(username, existing="new", device=device)
        assert token is not None
        return token

    def handles(self, username: str = "alice") -> list[str]:
        return [session["handle"] for session in self.manager.user_sessions(username)]

    def ask(
        self,
        method: str,
        path: str = "/devices",
        token: str | None = None,
        *,
        transport: str = "cookie",
        body: str | bytes = b"",
        **headers: str,
    ) -> Reply:
        """One request; what a browser would follow is not followed."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None and transport == "cookie":
            fields["Cookie"] = f"{COOKIE}={token}"
        elif token is not None:
            fields["Authorization"] = f"Bearer {token}"
        if self.stack == "flask":
            answer = self.app.test_client(use_cookies=False).open(
                path, method=method, headers=fields, data=body, base_url="https://app.example.com"
            )
            return Reply(answer.status_code, answer.headers, answer.text)
        client = TestClient(
            self.app,
            "https://app.example.com",
            raise_server_exceptions=False,
            follow_redirects=False,
        )
        answered = client.request(method, path, headers=fields, content=body)
        return Reply(answered.status_code, answered.headers, answered.text)

    def cost(self, *args: Any, **options: Any) -> dict[str, int]:
        """The trips of one request."""
        self.store.reset()
        self.ask(*args, **options)
        return dict(self.store.by_verb)


def make_site(
    stack: Stack,
    *,
    store: Store | None = None,
    template: str | None = None,
    mounted: str = "",
    everybody: bool = False,
    accepted: APITokens | None = None,
    clock: ManualClock | None = None,
    **options: Any,
) -> Site:
    """A site whose page has these options; ``template`` is the app's own, in Jinja.

    ``everybody``: it is the page of administrators. ``accepted``: API tokens that open the app,
    by default those that the page shows.
    """
    options["page"] = "all_devices" if everybody else "my_devices"
    accepted = accepted or options.get("api_tokens")
    clock, counting = clock or ManualClock(), CountingStore(store or MemoryStore())
    events: list[Event] = []
    manager = SessionManager(
        store=counting,
        clock=clock,
        secret_key="k" * 64,
        max_concurrent_sessions=None,
        on_event=events.append,
    )
    make = {"flask": flask_app, "starlette": starlette_app, "fastapi": fastapi_app}[stack]
    options["accepted"] = accepted
    app = make(manager, template, mounted, options)
    return Site(stack, app, manager, clock, counting, events, accepted)


def flask_app(
    manager: SessionManager, template: str | None, mounted: str, options: dict[str, Any]
) -> Flask:
    if template is not None:
        options["render"] = lambda page: render_template_string(template, page=page)
    app = Flask(__name__)
    page, accepted = options.pop("page"), options.pop("accepted")
    devices = getattr(for_flask, page)(**options)
    below = devices.url_prefix or ""
    app.register_blueprint(devices, url_prefix=mounted + below if mounted else None)
    app.wsgi_app = WSGIMiddleware(app.wsgi_app, manager, api_tokens=accepted)  # type: ignore[method-assign]
    return app


def starlette_routes(template: str | None, options: dict[str, Any]) -> Iterable[Any]:
    if template is not None:
        jinja = Flask(__name__).jinja_env.from_string(template)

        def render(_request: Any, page: DevicesPage) -> HTMLResponse:
            return HTMLResponse(jinja.render(page=page))

        options["render"] = render
    routes: Iterable[Any] = getattr(for_starlette, options.pop("page"))(**options)
    return routes


def starlette_app(
    manager: SessionManager, template: str | None, mounted: str, options: dict[str, Any]
) -> Starlette:
    app, accepted = Starlette(), options.pop("accepted")
    routes = starlette_routes(template, options)
    if mounted:
        app.mount(mounted, Starlette(routes=[*routes]))
    else:
        app.router.routes.extend(routes)
    app.add_middleware(ASGIMiddleware, manager=manager, api_tokens=accepted)
    return app


def fastapi_app(
    manager: SessionManager, template: str | None, mounted: str, options: dict[str, Any]
) -> FastAPI:
    app, accepted = FastAPI(), options.pop("accepted")
    routes = starlette_routes(template, options)
    if mounted:
        app.mount(mounted, FastAPI(routes=[*routes]))
    else:
        app.router.routes.extend(routes)
    app.add_middleware(ASGIMiddleware, manager=manager, api_tokens=accepted)
    return app
