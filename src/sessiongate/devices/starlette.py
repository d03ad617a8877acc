"""“My devices” for Starlette, and for FastAPI, with the same name and keywords as for Flask.

Starlette(routes=[*my_devices(), ...])
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeAlias

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sessiongate.devices.endpoints import (
    PRIVATE,
    STYLESHEET,
    Answer,
    Asked,
    Endpoints,
)
from sessiongate.kits.page import under_prefix
from sessiongate.starlette import login_required, prefix_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from sessiongate.core.arguments import Seconds
    from sessiongate.devices.endpoints import Endpoint
    from sessiongate.devices.listing import DevicesPage
    from sessiongate.kits.page import LoginURL

    Rendered: TypeAlias = Response | str

__all__ = ["my_devices"]


def my_devices(
    path: str = "/devices",
    *,
    render: Callable[[Request, DevicesPage], Rendered | Awaitable[Rendered]] | None = None,
    home_url: str = "/",
    login_url: LoginURL | None = None,
    scopes: Sequence[str] = (),
    fresh: Seconds | None = None,
) -> list[Route]:
    """A page that shows where the user is logged in and ends it, and the same as a JSON API.

    The app needs the middleware. Each request is one store step besides the
    check of its own session, however many devices there are. The page needs no
    script and no form token: a form of another site is refused.

    Args:
        path: Where the page is; the API is at ``{path}/api``.
        render: Makes the page of the request and a ``DevicesPage``: a response
            or HTML, sync or async; by default there is one.
        home_url: Where the page leads back to, and who has logged out here.
        login_url: As in ``login_required``, for the page; the API answers 401.
        scopes: As in ``login_required``.
        fresh: As in ``login_required``: to ask for the password again (ASVS 7.5.2).

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """
    endpoints = Endpoints(path, home_url, render)
    guards = {
        "person": login_required(scopes=scopes, fresh=fresh, login_url=login_url),
        "program": login_required(scopes=scopes, fresh=fresh),
    }

    def route_of(endpoint: Endpoint) -> Route:
        @guards[endpoint.audience]
        async def view(request: Request) -> Response:
            handle = request.path_params.get("handle", "")
            path = under_prefix(request.scope["path"], prefix_of(request))
            asked = Asked(request.scope["sessiongate"], path, handle)
            found = await asked.session.arun(endpoint.view(asked))
            if render is None or isinstance(found, Answer):
                return _response(endpoints.render(found))
            rendered = render(request, found)
            if inspect.isawaitable(rendered):
                rendered = await rendered
            response = HTMLResponse(rendered) if isinstance(rendered, str) else rendered
            for name, value in PRIVATE:
                response.headers.setdefault(name, value)
            return response

        name = f"my_devices:{endpoint.name}"
        return Route(path + endpoint.rule, view, methods=[endpoint.method], name=name)

    async def style(_request: Request) -> Response:
        return _response(STYLESHEET)

    routes = [route_of(endpoint) for endpoint in endpoints]
    if render is None:
        routes.append(Route(f"{path}/style.css", style, name="my_devices:style"))
    return routes


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers))
