"""“My devices” for Starlette, and for FastAPI, with the same name and keywords as for Flask.

Starlette(routes=[*my_devices(), ...])
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sessiongate.devices.administration import AllEndpoints
from sessiongate.devices.api_tokens import my_endpoints
from sessiongate.devices.endpoints import LONGEST_BODY, Asked
from sessiongate.kits.page import under_prefix
from sessiongate.starlette import login_required, prefix_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from sessiongate.devices import AllDevicesPage, DevicesPage
    from sessiongate.devices.endpoints import DevicesOptions, Endpoint, Endpoints
    from sessiongate.machines.api_tokens import APITokens

    Rendered: TypeAlias = Response | str

__all__ = ["all_devices", "my_devices"]


def my_devices(
    path: str = "/devices",
    *,
    render: Callable[[Request, DevicesPage], Rendered | Awaitable[Rendered]] | None = None,
    api_tokens: APITokens | None = None,
    **options: Unpack[DevicesOptions],
) -> list[Route]:
    """The page and the JSON API of ``sessiongate.devices.flask.my_devices``, as routes.

    Args:
        path: Where the page is; the API is at ``{path}/api``.
        render: Makes the page of the request and a ``DevicesPage``: a response
            or HTML, sync or async; by default there is one.
        api_tokens: As there.
        options: As there.

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """
    endpoints = my_endpoints(path, render, api_tokens, **options)
    return _routes("my_devices", path, endpoints, render)


def all_devices(
    path: str = "/all-devices",
    *,
    render: Callable[[Request, AllDevicesPage], Rendered | Awaitable[Rendered]] | None = None,
    **options: Unpack[DevicesOptions],
) -> list[Route]:
    """The page and the JSON API of ``sessiongate.devices.flask.all_devices``, as routes.

    Args:
        path: Where the page is; the API is at ``{path}/api``.
        render: Makes the page of the request and an ``AllDevicesPage``: a response
            or HTML, sync or async; by default there is one.
        options: As there; ``scopes`` is required.

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """
    return _routes("all_devices", path, AllEndpoints(path, render, **options), render)


def _routes(
    name: str, path: str, endpoints: Endpoints, render: Callable[..., Any] | None
) -> list[Route]:
    return [
        Route(
            path + endpoint.rule,
            _view_of(endpoint, render),
            methods=[endpoint.method],
            name=f"{name}:{endpoint.name}",
        )
        for endpoint in endpoints
    ]


def _view_of(endpoint: Endpoint, render: Callable[..., Any] | None) -> Callable[..., Any]:
    async def view(request: Request) -> Response:
        session = request.scope["sessiongate"]
        path = under_prefix(request.scope["path"], prefix_of(request))
        handle = request.path_params.get("handle", "")
        body = await _body(request) if endpoint.reads_body else b""
        content_type = request.headers.get("Content-Type", "")
        asked = Asked(session, path, handle, request.query_params, content_type, body)
        answer = await endpoint.arun(asked)
        if render is None or isinstance(answer.body, str):
            return Response(answer.body, answer.status, dict(answer.headers))
        rendered = render(request, answer.body)
        if inspect.isawaitable(rendered):
            rendered = await rendered
        response: Response = HTMLResponse(rendered) if isinstance(rendered, str) else rendered
        answer.complete(response)
        return response

    return view if endpoint.demands is None else login_required(**endpoint.demands)(view)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk[: LONGEST_BODY + 1 - len(body)]
        if len(body) > LONGEST_BODY:
            break
    return body
