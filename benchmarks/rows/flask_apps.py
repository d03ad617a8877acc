"""Flask: ours, its own signed session, and the three extensions that one reaches for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flask_jwt_extended
import flask_login
from flask import Flask, session
from flask_session import Session
from redis import Redis

from requesting import SECRET, bearer, cookie, wsgi_case, wsgi_cookie
from sessiongate import JWTSessionManager, SessionManager
from sessiongate.flask import current_user, login_required
from sessiongate.wsgi import SessionAuthMiddleware

if TYPE_CHECKING:
    from measure import Case
    from sessiongate.stores import Store

__all__ = ["cases"]


def cases(stores: dict[str, Store], redis_url: str | None) -> list[Case]:
    """A Flask app with one view, on each store, beside the others."""
    bare = Flask("bare")
    bare.get("/")(lambda: "ok")
    rows = [wsgi_case("bare Flask app", bare.wsgi_app, kind="bare"), *_ours(stores)]
    rivals = {
        "Flask: signed session": _signed_session(),
        "Flask-Login: login_required": _flask_login(),
    }
    if redis_url is not None:
        rivals["Flask-Session: Redis"] = _flask_session(redis_url)
    rows += [wsgi_case(name, app.wsgi_app, wsgi_cookie(app)) for name, app in rivals.items()]
    return [*rows, _flask_jwt_extended()]


def _ours(stores: dict[str, Store]) -> list[Case]:
    app = Flask("ours")

    @app.get("/")
    @login_required
    def view() -> str:
        assert current_user.username == "alice"  # noqa: S101
        return "ok"

    signed = JWTSessionManager(secret_key=SECRET)
    rows = [
        wsgi_case(
            "sessiongate: Flask, login_required, JWT",
            SessionAuthMiddleware(app.wsgi_app, signed),
            bearer(signed.create_session("alice")),
            kind="ours",
        )
    ]
    for where, store in {"": None, **stores}.items():
        manager = SessionManager(store=store, secret_key=SECRET, max_concurrent_sessions=None)
        rows.append(
            wsgi_case(
                f"sessiongate: Flask, login_required{where and f', {where}'}",
                SessionAuthMiddleware(app.wsgi_app, manager),
                cookie(manager.create_session("alice")),
                kind="ours",
            )
        )
    return rows


def _in_session(app: Flask) -> Flask:
    @app.get("/login")
    def log_in() -> str:
        session["user"] = "alice"
        return "ok"

    @app.get("/")
    def view() -> str:
        assert session["user"] == "alice"  # noqa: S101
        return "ok"

    return app


def _signed_session() -> Flask:
    app = Flask("signed")
    app.secret_key = SECRET
    return _in_session(app)


def _flask_session(redis_url: str) -> Flask:
    """Set up as its documentation's example for Redis; its default serialisation is msgpack."""
    app = Flask("server-side")
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis.from_url(redis_url))
    Session(app)
    return _in_session(app)


class _FlaskLoginUser(flask_login.UserMixin):  # type: ignore[misc] # it has no types
    id = "alice"


def _flask_login() -> Flask:
    """With a ``user_loader`` that costs nothing, to be fair: elsewhere it asks a database."""
    app = Flask("flask-login")
    app.secret_key = SECRET
    user = _FlaskLoginUser()
    manager = flask_login.LoginManager(app)
    manager.user_loader({"alice": user}.get)

    @app.get("/login")
    def log_in() -> str:
        flask_login.login_user(user)
        return "ok"

    def view() -> str:
        assert flask_login.current_user.id == "alice"  # noqa: S101
        return "ok"

    app.get("/")(flask_login.login_required(view))
    return app


def _flask_jwt_extended() -> Case:
    app = Flask("flask-jwt-extended")
    app.config["JWT_SECRET_KEY"] = SECRET
    flask_jwt_extended.JWTManager(app)

    def view() -> str:
        assert flask_jwt_extended.get_jwt_identity() == "alice"  # noqa: S101
        return "ok"

    app.get("/")(flask_jwt_extended.jwt_required()(view))
    with app.app_context():
        token: Any = flask_jwt_extended.create_access_token("alice")
    return wsgi_case("Flask-JWT-Extended: jwt_required", app.wsgi_app, bearer(token))
