"""“My devices” for Flask, with the same name and keywords as for Starlette.

app.register_blueprint(my_devices())
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessiongate.devices.endpoints import (
    PRIVATE,
    STYLESHEET,
    Answer,
    Asked,
    Endpoints,
)
from sessiongate.flask import login_required

# After sessiongate.flask, which says what to install where Flask is missing.
from flask import Blueprint, Response, current_app, request  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask.typing import ResponseReturnValue

    from sessiongate.core.arguments import Seconds
    from sessiongate.devices.endpoints import Endpoint
    from sessiongate.devices.listing import DevicesPage
    from sessiongate.kits.page import LoginURL

__all__ = ["my_devices"]


def my_devices(
    path: str = "/devices",
    *,
    render: Callable[[DevicesPage], ResponseReturnValue] | None = None,
    home_url: str = "/",
    login_url: LoginURL | None = None,
    scopes: Sequence[str] = (),
    fresh: Seconds | None = None,
) -> Blueprint:
    """A page that shows where the user is logged in and ends it, and the same as a JSON API.

    The app needs the middleware. Each request is one store step besides the
    check of its own session, however many devices there are. The page needs no
    script and no form token: a form of another site is refused.

    Args:
        path: Where the page is; the API is at ``{path}/api``.
        render: Makes the page of a ``DevicesPage``; by default there is one.
        home_url: Where the page leads back to, and who has logged out here.
        login_url: As in ``login_required``, for the page; the API answers 401.
        scopes: As in ``login_required``.
        fresh: As in ``login_required``: to ask for the password again (ASVS 7.5.2).

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """
    endpoints = Endpoints(path, home_url, render)
    blueprint = Blueprint("my_devices", __name__, url_prefix=path)
    guards = {
        "person": login_required(scopes=scopes, fresh=fresh, login_url=login_url),
        "program": login_required(scopes=scopes, fresh=fresh),
    }

    def view_of(endpoint: Endpoint) -> Callable[..., Response]:
        @guards[endpoint.audience]
        def view(handle: str = "") -> Response:
            asked = Asked(
                request.environ["sessiongate"], request.script_root + request.path, handle
            )
            found = asked.session.run(endpoint.view(asked))
            if render is None or isinstance(found, Answer):
                return _response(endpoints.render(found))
            response = current_app.make_response(current_app.ensure_sync(render)(found))
            for name, value in PRIVATE:
                response.headers.setdefault(name, value)
            return response

        return view

    for endpoint in endpoints:
        rule = endpoint.rule.replace("{handle}", "<handle>")
        blueprint.add_url_rule(rule, endpoint.name, view_of(endpoint), methods=[endpoint.method])
    if render is None:
        blueprint.add_url_rule("/style.css", "style", lambda: _response(STYLESHEET))
    return blueprint


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, answer.headers)
