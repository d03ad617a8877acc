"""“My devices” for Flask, with the same name and keywords as for Starlette.

app.register_blueprint(my_devices())
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import urlencode

from sessiongate.devices.administration import AllEndpoints
from sessiongate.devices.api_tokens import my_endpoints
from sessiongate.devices.endpoints import LONGEST_BODY, Asked
from sessiongate.flask import login_required

# After sessiongate.flask, which says what to install where Flask is missing.
from flask import Blueprint, Response, current_app, request  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.typing import ResponseReturnValue

    from sessiongate.devices import AllDevicesPage, DevicesPage
    from sessiongate.devices.endpoints import DevicesOptions, Endpoint, Endpoints
    from sessiongate.machines.api_tokens import APITokens

__all__ = ["all_devices", "my_devices"]


def my_devices(
    path: str = "/devices",
    *,
    render: Callable[[DevicesPage], ResponseReturnValue] | None = None,
    api_tokens: APITokens | None = None,
    **options: Unpack[DevicesOptions],
) -> Blueprint:
    """A page that shows where the user is logged in and ends it, and the same as a JSON API.

    The app needs the middleware. Each request is one store step besides the
    check of its own session, however many devices there are. The page needs no
    script and no form token: a form of another site is refused.

    Args:
        path: Where the page is; the API is at ``{path}/api``.
        render: Makes the page of a ``DevicesPage``; by default there is one.
        api_tokens: Users see, make and revoke their API tokens of these there; the middleware
            needs them as well. A new token has scopes of the session that asks, never more.
            Sessions may do that, API tokens never. ``None``: nothing of it is shown.
        options: ``home_url``: where the page leads back to, and who has logged out
            here; by default ``"/"``. ``scopes``, ``login_url`` (the API answers 401) and
            ``fresh`` (to ask for the password again, ASVS 7.5.2), as in ``login_required``.

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """
    endpoints = my_endpoints(path, render, api_tokens, **options)
    return _blueprint("my_devices", path, endpoints, render)


def all_devices(
    path: str = "/all-devices",
    *,
    render: Callable[[AllDevicesPage], ResponseReturnValue] | None = None,
    **options: Unpack[DevicesOptions],
) -> Blueprint:
    """A page for administrators: all sessions, those of a user, and their end; and a JSON API.

    Args:
        path: Where the page is; the API is at ``{path}/api``.
        render: Makes the page of an ``AllDevicesPage``; by default there is one.
        options: As for ``my_devices``. ``scopes`` is required: it names what the
            session of an administrator has.

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """
    return _blueprint("all_devices", path, AllEndpoints(path, render, **options), render)


def _blueprint(
    name: str, path: str, endpoints: Endpoints, render: Callable[..., Any] | None
) -> Blueprint:
    blueprint = Blueprint(name, __name__, url_prefix=path)
    for endpoint in endpoints:
        rule = endpoint.rule.replace("{handle}", "<handle>")
        view = _view_of(endpoint, render)
        blueprint.add_url_rule(rule, endpoint.name, view, methods=[endpoint.method])
    return blueprint


def _view_of(endpoint: Endpoint, render: Callable[..., Any] | None) -> Callable[..., Response]:
    def view(handle: str = "") -> Response:
        session = request.environ["sessiongate"]
        path = request.script_root + request.path
        body = _body() if endpoint.reads_body else b""
        asked = Asked(session, path, handle, request.args, request.content_type or "", body)
        answer = endpoint.run(asked)
        if render is None or isinstance(answer.body, str):
            return Response(answer.body, answer.status, answer.headers)
        response = current_app.make_response(current_app.ensure_sync(render)(answer.body))
        answer.complete(response)
        return response

    return view if endpoint.demands is None else login_required(**endpoint.demands)(view)


def _body() -> bytes:
    body = request.stream.read(LONGEST_BODY + 1)
    # Empty as well where a hook of the app has read it.
    return body or request.get_data() or urlencode([*request.form.items(multi=True)]).encode()
