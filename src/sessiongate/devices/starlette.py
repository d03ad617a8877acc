"""“My devices” for Starlette, and for FastAPI, with the same name and keywords as for Flask.

Starlette(routes=[*my_devices(), ...])
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sessiongate.devices.administration import AllEndpoints
from sessiongate.devices.endpoints import PRIVATE, Answer, Asked, Endpoints
from sessiongate.kits.page import under_prefix
from sessiongate.starlette import login_required, prefix_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from sessiongate.devices import AllDevicesPage, DevicesPage
    from sessiongate.devices.endpoints import DevicesOptions, Endpoint

    Rendered: TypeAlias = Response | str

__all__ = ["all_devices", "my_devices"]


def my_devices(
    path: str = "/devices",
    *,
    render: Callable[[Request, DevicesPage], Rendered | Awaitable[Rendered]] | None = None,
    **options: Unpack[DevicesOptions],
) -> list[Route]:
    """The page and the JSON API of ``sessiongate.devices.flask.my_devices``, as routes.

    Args:
        path: Where the page is; the API is at ``{path}/api``.
        render: Makes the page of the request and a ``DevicesPage``: a response
            or HTML, sync or async; by default there is one.
        options: As there.

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """
    return _routes("my_devices", path, Endpoints(path, render, **options), render)


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
        asked = Asked(session, path, handle, request.query_params)
        found = await session.arun(endpoint.view(asked))
        if isinstance(found, Answer) or render is None:
            return Response(found.body, found.status, dict(found.headers))
        rendered = render(request, found)
        if inspect.isawaitable(rendered):
            rendered = await rendered
        response: Response = HTMLResponse(rendered) if isinstance(rendered, str) else rendered
        for name, value in PRIVATE:
            response.headers.setdefault(name, value)
        return response

    return view if endpoint.demands is None else login_required(**endpoint.demands)(view)
