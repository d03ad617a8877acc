"""The shop: Alembic makes its tables, and two apps know the same sessions in one database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url
from sqlalchemy.orm import Session
from starlette.testclient import TestClient
from tests.stores.mariadb_server import MariaDBServer
from tests.stores.postgres_server import PostgresServer
from werkzeug.test import Client

from app_database.fastapi_shop import create_app as create_fastapi_app
from app_database.flask_shop import create_app as create_flask_app
from app_database.flask_shop import db
from app_database.models import User

if TYPE_CHECKING:
    from collections.abc import Iterator

MIGRATIONS = Path(__file__).parents[2] / "examples" / "app_database" / "migrations"
SECRET = "k" * 64
ALICE = {"username": "alice", "password": "open sesame"}
ASYNC = {"sqlite": "aiosqlite", "mysql": "asyncmy", "postgresql": "psycopg"}


@pytest.fixture(params=["sqlite", "mariadb", pytest.param("postgres", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'shop.db'}"
    elif request.param == "mariadb":
        mariadb = MariaDBServer()
        yield mariadb.url
        mariadb.close()
    else:
        postgres = PostgresServer()
        postgres.start()
        yield postgres.url.replace("postgresql:", "postgresql+psycopg:")
        postgres.close()


@pytest.fixture
def alembic(database: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", database)
    return config


def test_two_apps_share_their_logins_in_tables_that_alembic_makes(
    database: str, alembic: Config
) -> None:
    command.upgrade(alembic, "head")
    command.check(alembic)  # there is nothing left to migrate
    engine = create_engine(database)
    with Session(engine) as session:
        session.add(User.new(name="alice", password=ALICE["password"]))
        session.commit()
    engine.dispose()

    app = create_flask_app(database, SECRET)
    flask: Any = Client(app)
    options: Any = {"base_url": "https://localhost"}
    url = make_url(database)
    url = url.set(drivername=f"{url.get_backend_name()}+{ASYNC[url.get_backend_name()]}")
    awaited = create_fastapi_app(url.render_as_string(hide_password=False), SECRET)
    with TestClient(awaited, "https://localhost") as fastapi:
        assert flask.get("/", **options).status_code == fastapi.get("/").status_code == 401
        assert flask.post("/login", data=ALICE | {"password": "?"}, **options).status_code == 403
        assert flask.post("/login", data=ALICE, **options).status_code == 204
        assert flask.get("/", **options).text == "Hello, alice!"
        cookie = flask.get_cookie("__Host-session", "localhost")
        fastapi.cookies.set("__Host-session", cookie.value)
        assert fastapi.get("/").json() == "Hello, alice!"
        assert fastapi.post("/logout").status_code == 204
        assert flask.get("/", **options).status_code == 401
        fastapi.cookies.clear()
        assert fastapi.post("/login", data=ALICE).status_code == 204
        assert fastapi.get("/").json() == "Hello, alice!"
    with app.app_context():
        db.engine.dispose()
