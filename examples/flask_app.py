"""The Flask side of the demo: a login form, a protected page, "my devices", and a small API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from flask import Blueprint, Flask, current_app, make_response, redirect, render_template, request

from sessiongate.devices.flask import my_devices
from sessiongate.flask import (
    current_user,
    login_required,
    login_user,
    logout_user,
    safe_redirect,
)
from sessiongate.wsgi import SessionAuthMiddleware
from shared import (
    COOKIE,
    FORBIDDEN,
    PAGE_HEADERS,
    STATIC,
    TEMPLATES,
    WRONG,
    Services,
    credentials_of,
    facts_of,
)

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

    from sessiongate.devices import DevicesPage

pages = Blueprint("pages", __name__)
api = Blueprint("api", __name__, url_prefix="/api")


def create_app(services: Services) -> Flask:
    """The app; wrapping ``wsgi_app`` is all that it takes to have sessions."""
    app = Flask(__name__, template_folder=TEMPLATES, static_folder=STATIC)
    app.extensions["services"] = services
    app.register_blueprint(pages)
    app.register_blueprint(api)
    app.register_blueprint(my_devices(login_url="/login", render=devices))
    app.wsgi_app = SessionAuthMiddleware(  # type: ignore[method-assign] # as Flask documents it
        app.wsgi_app, services.manager, cookie=COOKIE
    )
    return app


def our() -> Services:
    """What this app was made with."""
    return cast("Services", current_app.extensions["services"])


def page(template: str, status: int = 200, **context: Any) -> ResponseReturnValue:
    """Render a page that says who you are."""
    html = render_template(template, user=current_user, site=our().site, **context)
    return make_response(html, status, PAGE_HEADERS)


# The pages.


@pages.get("/")
def home() -> ResponseReturnValue:
    """For everybody."""
    return page("home.html")


@pages.get("/login")
def login_form() -> ResponseReturnValue:
    """Ask who you are."""
    return page("login.html", next=request.args.get("next", ""))


@pages.post("/login")
def login() -> ResponseReturnValue:
    """Check it, and go on to where you wanted to go."""
    username, way_back = request.form.get("username", ""), request.form.get("next", "")
    account = our().accounts.check(username, request.form.get("password", ""))
    if account is None:
        return page("login.html", FORBIDDEN, error=WRONG, username=username, next=way_back)
    login_user(username, scopes=account.scopes)
    return redirect(safe_redirect(way_back, "/account"), 303)


@pages.post("/logout")
def logout() -> ResponseReturnValue:
    """End the session, on the server and in the browser."""
    logout_user()
    return redirect("/", 303)


@pages.get("/account")
@login_required(login_url="/login")
def account() -> ResponseReturnValue:
    """Show the session of this request."""
    return page("account.html", facts=facts_of(request.environ["sessiongate"]))


def devices(found: DevicesPage) -> ResponseReturnValue:
    """Show where this user is logged in, in the template of the demo."""
    return page("devices.html", page=found)


# The API, for clients that keep a token themselves.


@api.post("/login")
def api_login() -> ResponseReturnValue:
    """Exchange a name and a password for a bearer token."""
    username, password = credentials_of(request.get_json())
    account = our().accounts.check(username, password)
    if account is None:
        return {"error": WRONG}, FORBIDDEN
    return {"token": login_user(username, scopes=account.scopes, transport="bearer")}


@api.get("/me")
@login_required
def api_me() -> ResponseReturnValue:
    """The account page, for programs."""
    return facts_of(request.environ["sessiongate"]).as_json()


@api.post("/logout")
@login_required
def api_logout() -> ResponseReturnValue:
    """End the session."""
    logout_user()
    return "", 204
