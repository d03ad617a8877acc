"""The Flask side of the demo: a login form, a protected page, "my devices", and a small API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from flask import (
    Blueprint,
    Flask,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.exceptions import HTTPException

from sessiongate.devices.flask import my_devices
from sessiongate.flask import (
    SessionRefused,
    install,
    login_required,
    login_user,
    logout_user,
    safe_redirect,
)
from shared import (
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

LOGIN: Final = "pages.login_form"
"""The endpoint of the login page. A name works wherever the app is mounted."""


def create_app(services: Services) -> Flask:
    """Make the app. ``install`` is all that it needs for sessions."""
    app = Flask(__name__, template_folder=TEMPLATES, static_folder=STATIC)
    app.extensions["services"] = services
    app.register_blueprint(pages)
    app.register_blueprint(api)
    tokens = services.api_tokens
    app.register_blueprint(my_devices(login_url=LOGIN, render=devices, api_tokens=tokens))
    install(app, services.manager, **services.middleware_options())
    return app


def our() -> Services:
    """The services that this app was made with."""
    return cast("Services", current_app.extensions["services"])


def page(template: str, status: int = 200, **context: Any) -> ResponseReturnValue:
    """Render a page that says who you are: ``install`` gives it ``current_user``."""
    html = render_template(template, site=our().site, **context)
    return make_response(html, status, PAGE_HEADERS)


# The pages.


@pages.get("/")
def home() -> ResponseReturnValue:
    """For everybody."""
    return page("home.html")


@pages.get("/login")
def login_form() -> ResponseReturnValue:
    """Show the login form."""
    return page("login.html", next=request.args.get("next", ""))


@pages.post("/login")
def login() -> ResponseReturnValue:
    """Check the password, and redirect to the page that the visitor wanted."""
    username, way_back = request.form.get("username", ""), request.form.get("next", "")
    account = our().accounts.check(username, request.form.get("password", ""))
    if account is None:
        return page("login.html", FORBIDDEN, error=WRONG, username=username, next=way_back)
    try:
        login_user(username, scopes=account.scopes, remember="remember" in request.form)
    except SessionRefused as refused:  # too many sessions, or another site sent the form
        error = refused.description
        return page("login.html", FORBIDDEN, error=error, username=username, next=way_back)
    return redirect(safe_redirect(way_back, url_for("pages.account")), 303)


@pages.post("/logout")
def logout() -> ResponseReturnValue:
    """End the session, on the server and in the browser."""
    logout_user()
    return redirect(url_for("pages.home"), 303)


@pages.get("/account")
@login_required(login_url=LOGIN)
def account() -> ResponseReturnValue:
    """Show the session of this request."""
    return page("account.html", facts=facts_of(request.environ["sessiongate"]))


def devices(found: DevicesPage) -> ResponseReturnValue:
    """Show where this user is logged in, in the template of the demo."""
    return page("devices.html", page=found)


# The API, for clients that keep a token themselves.


@api.errorhandler(HTTPException)
def refused(error: HTTPException) -> ResponseReturnValue:
    """Say what is wrong in the API's format. Keep the headers, which hold the challenge."""
    headers = [field for field in error.get_headers() if field[0] != "Content-Type"]
    return {"error": error.description}, error.code or FORBIDDEN, headers


@api.post("/login")
def api_login() -> ResponseReturnValue:
    """Exchange a name and a password for a bearer token."""
    username, password = credentials_of(request.get_json())
    account = our().accounts.check(username, password)
    if account is None:
        return {"error": WRONG}, FORBIDDEN
    return {"token": login_user(username, scopes=account.scopes, transport="bearer")}


@api.get("/me")
@login_required(scopes=["notes:read"])
def api_me() -> ResponseReturnValue:
    """The account page, for programs. It names a scope, so API tokens may come as well."""
    return facts_of(request.environ["sessiongate"]).as_json()


@api.post("/logout")
@login_required
def api_logout() -> ResponseReturnValue:
    """End the session."""
    logout_user()
    return "", 204
