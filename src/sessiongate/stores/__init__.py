"""Where sessions are kept.

Each store is loaded when it is first asked for: a missing driver hurts only those who want it.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from sessiongate.errors import ConfigurationError
from sessiongate.stores import codec
from sessiongate.stores.base import Page, Record, Store
from sessiongate.stores.memory import MemoryStore

if TYPE_CHECKING:
    from sessiongate.core.arguments import Seconds
    from sessiongate.stores.moving import MovingStore
    from sessiongate.stores.postgres import PostgresStore
    from sessiongate.stores.redis import RedisStore
    from sessiongate.stores.sqlalchemy import SQLAlchemyStore
    from sessiongate.stores.sqlite import SQLiteStore

__all__ = [
    "MemoryStore",
    "MovingStore",
    "Page",
    "PostgresStore",
    "Record",
    "RedisStore",
    "SQLAlchemyStore",
    "SQLiteStore",
    "Store",
    "codec",
    "open_store",
]

_ON_DEMAND: Final = {
    "MovingStore": "moving",
    "PostgresStore": "postgres",
    "RedisStore": "redis",
    "SQLAlchemyStore": "sqlalchemy",
    "SQLiteStore": "sqlite",
}
_SCHEMES: Final = {
    "sqlite": "SQLiteStore",
    **dict.fromkeys(("redis", "rediss", "unix"), "RedisStore"),
    **dict.fromkeys(("redis+sentinel", "rediss+sentinel"), "RedisStore"),
    **dict.fromkeys(("redis+cluster", "rediss+cluster"), "RedisStore"),
    **dict.fromkeys(("postgresql", "postgres"), "PostgresStore"),
}
_OWN_OPTION: Final = {"RedisStore": "prefix", "PostgresStore": "schema", "SQLAlchemyStore": "name"}
"""What may stand in a URL and is not the driver's."""
_KIND: Final = re.compile(r"([a-z][a-z0-9+.-]{0,31}):(//)?", re.ASCII | re.IGNORECASE)
_KNOWN: Final = (
    "sqlite:///relative.db, sqlite:////absolute.db, redis://host:6379/0, rediss://…, unix://…, "
    "postgresql://user@host:5432/database, mysql+pymysql://user@host:3306/database"
)


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_ON_DEMAND[name]}"), name)


def open_store(url: str, *, create: bool = True, timeout: Seconds | None = None) -> Store:
    """Make the store that a URL names; nothing is connected yet.

    ``sqlite:///relative.db`` and ``sqlite:////absolute/path.db`` name a ``SQLiteStore``,
    ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://`` and ``redis+cluster://`` a
    ``RedisStore``, ``postgresql://`` and
    ``postgres://`` a ``PostgresStore``. A Redis URL may name the ``prefix`` of the keys and a
    PostgreSQL URL the ``schema`` of the tables, as in ``redis://host/0?prefix=shop:``. The driver
    reads all else. A path is percent-decoded.

    ``mysql+pymysql://`` and other URLs with a driver, as SQLAlchemy writes them, name a
    ``SQLAlchemyStore`` with an engine of its own: to be called, or with an async driver to be
    awaited. They may give the ``name`` of the tables.

    Args:
        url: Where the sessions are kept. A password in it appears in no message.
        create: Make the file or the tables where there are none; otherwise it is an error that
            there are none. Redis has nothing to make.
        timeout: Seconds that a connection and each answer may take; by default what suits
            requests, a quarter of a second.

    Raises:
        ConfigurationError: The URL names no store, its driver is missing, or with ``create=False``
            there is no such file.
        TypeError, ValueError: Another argument is unfit.
    """
    if not isinstance(url, str):
        msg = f"url must be a str such as {_KNOWN}; not {type(url).__name__}"
        raise TypeError(msg)
    found = _KIND.match(url)  # the rest is never quoted: it may hold a password
    if found is None:
        msg = f"url must begin with the kind of the store, as in {_KNOWN}"
        raise ConfigurationError(msg)
    kind = found[1].lower()
    if kind == "memory":
        msg = (
            "url: a memory store lives in the process of the app alone, so there is nothing to "
            "see or to share; in the app itself take MemoryStore()"
        )
        raise ConfigurationError(msg)
    database, driver, _ = kind.partition("+")
    through = driver and database in {"mysql", "mariadb", "postgresql"}
    name = "SQLAlchemyStore" if through else _SCHEMES.get(kind)
    if name is None or not found[2]:
        msg = f"url: {kind}: names no store; it must look like {_KNOWN}"
        raise ConfigurationError(msg)
    options: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
    if name in {"RedisStore", "PostgresStore"}:
        options |= {f"connect_{key}": value for key, value in options.items()}
    url = _cut_out(_OWN_OPTION[name], url, options) if name in _OWN_OPTION else _path(url)
    if name != "RedisStore":
        options["create"] = create
    cls = __getattr__(name)
    store: Store = getattr(cls, "_of_url", cls)(url, **options)
    return store


def _path(url: str) -> str:
    path = url.partition("://")[2]
    if not path.startswith("/") or "?" in path or "#" in path:
        msg = (
            "url: a SQLite file is written sqlite:///relative.db or sqlite:////absolute.db, "
            "without options; in the path write %3F for ? and %23 for #"
        )
        raise ConfigurationError(msg)
    path = unquote(path[1:])
    if path in {"", ":memory:"}:
        msg = "url must name a file, as in sqlite:///sessions.db; for memory take MemoryStore()"
        raise ConfigurationError(msg)
    return path


def _cut_out(name: str, url: str, options: dict[str, Any]) -> str:
    """Move the option of this name, if it is there, out of the URL.

    The rest keeps its text: each driver has its own idea of what a ``+`` means.
    """
    place, _, query = url.partition("?")
    mine = [part for part in query.split("&") if part.partition("=")[0] == name]
    if len(mine) > 1:
        msg = f"url must not give {name} more than once"
        raise ConfigurationError(msg)
    if mine:
        options[name] = unquote(mine[0].partition("=")[2])
    others = [part for part in query.split("&") if part not in mine]
    return f"{place}?{'&'.join(others)}".removesuffix("?")
