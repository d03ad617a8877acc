"""“My devices” for Django, with the same name and keywords as for Flask.

urlpatterns = [path("", include(my_devices()))]
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from sessiongate.devices.administration import AllEndpoints
from sessiongate.devices.api_tokens import my_endpoints
from sessiongate.devices.endpoints import LONGEST_BODY, Asked
from sessiongate.django.views import login_required

# After sessiongate.django, which says what to install where Django is missing.
from django.http import HttpResponse  # isort: skip
from django.urls import path as url_path  # isort: skip
from django.views.decorators.csrf import csrf_exempt  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.urls import URLPattern

    from sessiongate.devices import AllDevicesPage, DevicesPage
    from sessiongate.devices.endpoints import DevicesOptions, Endpoint, Endpoints
    from sessiongate.machines.api_tokens import APITokens

    Rendered: TypeAlias = HttpResponse | str

__all__ = ["all_devices", "my_devices"]


def my_devices(
    path: str = "/devices",
    *,
    render: Callable[[HttpRequest, DevicesPage], Rendered] | None = None,
    api_tokens: APITokens | None = None,
    **options: Unpack[DevicesOptions],
) -> tuple[list[URLPattern], str]:
    """The page and the JSON API of ``sessiongate.devices.flask.my_devices``, for ``include``.

    ``reverse("my_devices:page")`` is where it is. The forms need no token of
    ``CsrfViewMiddleware``: one of another site is refused.

    Args:
        path: Where the page is, below the prefix of the include; the API is at ``{path}/api``.
        render: Makes the page of the request and a ``DevicesPage``: a response or HTML; by
            default there is one.
        api_tokens: As there.
        options: As there.

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """
    return _included("my_devices", path, my_endpoints(path, render, api_tokens, **options), render)


def all_devices(
    path: str = "/all-devices",
    *,
    render: Callable[[HttpRequest, AllDevicesPage], Rendered] | None = None,
    **options: Unpack[DevicesOptions],
) -> tuple[list[URLPattern], str]:
    """The page and the JSON API of ``sessiongate.devices.flask.all_devices``, for ``include``.

    Args:
        path: Where the page is, below the prefix of the include; the API is at ``{path}/api``.
        render: Makes the page of the request and an ``AllDevicesPage``, as there.
        options: As there; ``scopes`` is required.

    Raises:
        ValueError, TypeError: An argument is unfit; the message says how.
    """
    return _included("all_devices", path, AllEndpoints(path, render, **options), render)


def _included(
    name: str, path: str, endpoints: Endpoints, render: Callable[..., Any] | None
) -> tuple[list[URLPattern], str]:
    if inspect.iscoroutinefunction(render):
        msg = "render must not be an async function: the views of this page are sync"
        raise TypeError(msg)
    by_rule: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        by_rule.setdefault(endpoint.rule, []).append(endpoint)
    patterns = [
        url_path(
            f"{path.removeprefix('/')}{rule.replace('{handle}', '<str:handle>')}",
            _dispatch(_views_of(found, render)),
            name=found[0].name,
        )
        # Fixed ones first: a handle may be any word.
        for rule, found in sorted(by_rule.items(), key=lambda one: "{" in one[0])
    ]
    return patterns, name


def _views_of(
    endpoints: list[Endpoint], render: Callable[..., Any] | None
) -> dict[str, Callable[..., HttpResponse]]:
    return {endpoint.method: _view_of(endpoint, render) for endpoint in endpoints}


def _dispatch(views: dict[str, Callable[..., HttpResponse]]) -> Callable[..., HttpResponse]:
    """The view of a URL: the one of the request's method."""

    @csrf_exempt  # the guards refuse forms of other sites
    def view(request: HttpRequest, handle: str = "") -> HttpResponse:
        method = "GET" if request.method == "HEAD" else request.method
        found = views.get(method or "")
        if found is None:
            return HttpResponse(status=405, headers={"Allow": ", ".join(views)})
        return found(request, handle)

    return view


def _view_of(endpoint: Endpoint, render: Callable[..., Any] | None) -> Callable[..., HttpResponse]:
    def view(request: HttpRequest, handle: str) -> HttpResponse:
        given: Any = request
        body = request.read(LONGEST_BODY + 1) if endpoint.reads_body else b""
        content_type = request.headers.get("Content-Type", "")
        query = request.GET.dict()
        asked = Asked(given.sessiongate, request.path, handle, query, content_type, body)
        answer = endpoint.run(asked)
        if render is None or isinstance(answer.body, str):
            return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
        rendered = render(request, answer.body)
        response = HttpResponse(rendered) if isinstance(rendered, str) else rendered
        answer.complete(response)
        return response

    return view if endpoint.demands is None else login_required(**endpoint.demands)(view)
