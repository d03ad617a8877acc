"""A store by its URL: the right one, in the right place, or a clear word."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.stores.redis_server import RedisServer

from sessiongate import ConfigurationError, SessionManager
from sessiongate.stores import PostgresStore, RedisStore, SQLAlchemyStore, SQLiteStore, open_store

if TYPE_CHECKING:
    from sessiongate.stores import Store

SECRET = "a-password-to-be-found"


@pytest.mark.parametrize(
    ("url", "kind", "place"),
    [
        ("sqlite:////srv/../tmp/a.db", SQLiteStore, "/srv/../tmp/a.db"),
        ("SQLite:////tmp/a%3Fb%20c.db", SQLiteStore, "/tmp/a?b c.db"),
        (f"redis://:{SECRET}@there:1234/2", RedisStore, "there:1234"),
        ("redis://there?prefix=shop:", RedisStore, "there:6379"),
        (f"rediss://me:{SECRET}@there/0?socket_timeout=1&prefix=a", RedisStore, "there:6379"),
        (f"unix://:{SECRET}@/run/redis.sock?db=1", RedisStore, "/run/redis.sock"),
        (f"postgresql://me:{SECRET}@there/shop", PostgresStore, "there/shop"),
        ("postgres://there/shop?sslmode=require&schema=logins", PostgresStore, "there/shop"),
        ("postgresql://one:1,two:2/shop?schema=logins", PostgresStore, "one,two/shop"),
        (f"mysql+pymysql://me:{SECRET}@there/shop?name=a", SQLAlchemyStore, "there/shop"),
        (f"mariadb+asyncmy://me:{SECRET}@there/shop", SQLAlchemyStore, "there/shop"),
        (f"postgresql+psycopg://me:{SECRET}@there/shop", SQLAlchemyStore, "there/shop"),
    ],
)
def test_each_kind_of_url_opens_its_store(url: str, kind: type[Store], place: str) -> None:
    store = open_store(url)
    assert type(store) is kind
    assert place in repr(store)
    assert SECRET not in repr(store)
    store.close()


def test_three_slashes_are_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    store = open_store("sqlite:///below/a.db")
    monkeypatch.chdir("/")
    assert store.count(0) == 0
    store.close()
    assert (tmp_path / "below" / "a.db").is_file()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("memory:", "process of the app alone"),
        ("memory://", "process of the app alone"),
        ("", "must begin with the kind of the store"),
        (SECRET, "must begin with the kind of the store"),
        ("/tmp/a.db", "must begin with the kind of the store"),
        (f"mysql://me:{SECRET}@there/shop", "mysql: names no store"),
        (f"mysql+nonsense://me:{SECRET}@there/shop", "as SQLAlchemy writes it"),
        (f"mysql+pymysql://me:{SECRET}@there:port/shop", "as SQLAlchemy writes it"),
        (f"mysql+pymysql://me:{SECRET}@there/shop?name=A", "plain lower-case name"),
        (f"mysql+mysqlconnector://me:{SECRET}@there/shop", "the driver mysql is missing"),
        (f"redis:{SECRET}", "redis: names no store"),
        (f"me:{SECRET}@there", "names no store"),
        (f"sqlite://{SECRET}/a.db", "sqlite:///relative.db"),
        ("sqlite:///a.db?mode=ro", "without options"),
        ("sqlite:///", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:////no/such/directory/a.db", "directory '/no/such/directory' does not exist"),
        (f"redis://:{SECRET}@there/0?bogus=1", "no Redis URL"),
        (f"redis://:{SECRET}@there/0?prefix=a&prefix=b", "prefix more than once"),
        (f"postgresql://me:{SECRET}@there/shop?schema=A", "plain lower-case name"),
        (f"postgresql://me:{SECRET}@there/shop?bogus=1", "PostgreSQL URI"),
    ],
)
def test_what_is_no_url_of_a_store_says_so_without_quoting_it(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_store(url)
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("url", [None, 7, Path("a.db"), b"sqlite:///a.db"])
def test_a_url_is_a_str(url: Any) -> None:
    with pytest.raises(TypeError, match="url must be a str"):
        open_store(url)


@pytest.mark.parametrize("url", ["sqlite:////tmp/a.db", "redis://there", "postgresql://there/shop"])
def test_a_timeout_is_a_duration(url: str) -> None:
    open_store(url, timeout=2).close()
    with pytest.raises(ValueError, match="timeout must be more than 0"):
        open_store(url, timeout=0)


def test_a_file_that_must_be_there_is_not_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with pytest.raises(ConfigurationError, match=r"no file .*a\.db"):
        open_store(url, create=False)
    assert list(tmp_path.iterdir()) == []

    store = open_store(url)
    store.count(0)
    store.close()
    found = open_store(url, create=False)
    assert found.count(0) == 0
    found.close()


def test_a_prefix_keeps_the_sessions_of_two_apps_apart(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        shop = open_store(f"{server.url}?prefix=shop%3A", timeout=30)
        blog = open_store(f"{server.url}?prefix=blog:", timeout=30)
        SessionManager(store=shop, secret_key="k" * 64).create_session("alice")
        assert (shop.count(0), blog.count(0)) == (1, 0)
        with server.admin() as admin:
            names: Any = admin.keys("*")
        assert all(name.startswith(b"shop:") for name in names)
        shop.close()
        blog.close()
    finally:
        server.stop()
