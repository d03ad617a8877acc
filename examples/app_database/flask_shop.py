"""A Flask app with Flask-SQLAlchemy: users and sessions in one database, by one engine."""

from flask import Flask, abort, request
from flask_sqlalchemy import SQLAlchemy

from app_database.models import Base, User
from sessiongate import SessionManager
from sessiongate.flask import current_user, login_required, login_user, logout_user
from sessiongate.stores import SQLAlchemyStore
from sessiongate.wsgi import SessionAuthMiddleware

db = SQLAlchemy(model_class=Base)


def create_app(database: str, secret_key: str) -> Flask:
    """Make the app; ``alembic upgrade head`` has made its tables."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = database
    db.init_app(app)
    with app.app_context():
        store = SQLAlchemyStore(db.engine, create=False)
    manager = SessionManager(max_concurrent_sessions=None, store=store, secret_key=secret_key)
    app.wsgi_app = SessionAuthMiddleware(app.wsgi_app, manager)  # type: ignore[method-assign]

    @app.post("/login")
    def log_in() -> tuple[str, int]:
        user = db.session.get(User, request.form["username"])
        if user is None or not user.knows(request.form["password"]):
            abort(403)
        login_user(user.name)
        return "", 204

    @app.post("/logout")
    def log_out() -> tuple[str, int]:
        logout_user()
        return "", 204

    @app.get("/")
    @login_required
    def home() -> str:
        user = db.session.get_one(User, current_user.username)
        return f"Hello, {user.name}!"

    return app
