"""A store named by a URL, as a setting or a command line gives it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from sessiongate.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sessiongate.core.arguments import Seconds
    from sessiongate.stores.base import Store

__all__ = ["open_store"]

_URL: Final = re.compile(r"([a-z][a-z0-9+.-]{0,31}):(.*)", re.ASCII | re.DOTALL | re.IGNORECASE)

_KNOWN: Final = (
    "sqlite:///relative.db, sqlite:////absolute.db, redis://host:6379/0, rediss://…, unix://…, "
    "postgresql://user@host:5432/database"
)


def open_store(url: str, *, create: bool = True, timeout: Seconds | None = None) -> Store:
    """Make the store that a URL names; nothing is connected yet.

    ============================================= ==================
    ``sqlite:///relative.db``                     ``SQLiteStore``
    ``sqlite:////absolute/path.db``               ``SQLiteStore``
    ``redis://``, ``rediss://``, ``unix://``      ``RedisStore``
    ``postgresql://``, ``postgres://``            ``PostgresStore``
    ============================================= ==================

    A Redis URL may name the ``prefix`` of the keys and a PostgreSQL URL the
    ``schema`` of the tables, as in ``redis://host/0?prefix=shop:``. All else is
    read by the driver. A path is percent-decoded.

    Args:
        url: Where the sessions are kept. A password in it appears in no
            message.
        create: Make the file or the tables where there are none. Without it
            they must be there: a look at the wrong place is an error then, and
            not an empty store. Redis has nothing to make.
        timeout: Seconds that a connection and each answer may take; by default
            what suits requests, a quarter of a second.

    Raises:
        ConfigurationError: The URL names no store, its driver is missing, or
            with ``create=False`` there is no such file.
        TypeError, ValueError: Another argument is unfit.
    """
    if not isinstance(url, str):
        msg = f"url must be a str such as {_KNOWN}; not {type(url).__name__}"
        raise TypeError(msg)
    found = _URL.fullmatch(url)
    # The URL itself is not quoted: it may hold a password.
    if found is None:
        msg = f"url must begin with the kind of the store, as in {_KNOWN}"
        raise ConfigurationError(msg)
    scheme = found[1].lower()
    if scheme == "memory":
        msg = (
            "url: a memory store lives in the process of the app alone, so there is nothing to "
            "see or to share; in the app itself take MemoryStore()"
        )
        raise ConfigurationError(msg)
    make = _MAKERS.get(scheme)
    if make is None or not found[2].startswith("//"):
        msg = f"url: {scheme}: names no store; it must look like {_KNOWN}"
        raise ConfigurationError(msg)
    times = {} if timeout is None else {"timeout": timeout}
    return make(url, create=create, **times)


def _sqlite(url: str, **options: Any) -> Store:
    from sessiongate.stores.sqlite import SQLiteStore  # noqa: PLC0415 - a driver only if asked for

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
    return SQLiteStore(path, **options)


def _redis(url: str, *, create: bool, **times: Any) -> Store:  # noqa: ARG001 - nothing to make
    from sessiongate.stores.redis import RedisStore  # noqa: PLC0415 - as above

    url, prefix = _taken(url, "prefix")
    return RedisStore(url, **_connecting(times), **prefix)


def _postgres(url: str, *, create: bool, **times: Any) -> Store:
    from sessiongate.stores.postgres import PostgresStore  # noqa: PLC0415 - as above

    url, schema = _taken(url, "schema")
    return PostgresStore(url, create=create, **_connecting(times), **schema)


_MAKERS: Final[Mapping[str, Callable[..., Store]]] = {
    "sqlite": _sqlite,
    **dict.fromkeys(("redis", "rediss", "unix"), _redis),
    **dict.fromkeys(("postgresql", "postgres"), _postgres),
}


def _connecting(times: dict[str, Any]) -> dict[str, Any]:
    """The same bound for connecting, where that is a step of its own."""
    return {f"{step}timeout": value for step in ("", "connect_") for value in times.values()}


def _taken(url: str, ours: str) -> tuple[str, dict[str, Any]]:
    """The URL without an option that is ours, and the option if it was there.

    Cut out of the text: each driver has its own idea of what a ``+`` means in the rest.
    """
    place, _, query = url.partition("?")
    options = [option.partition("=") for option in query.split("&")]
    values = [unquote(value) for name, _, value in options if name == ours]
    if not values:
        return url, {}
    if len(values) > 1:
        msg = f"url must not give {ours} more than once"
        raise ConfigurationError(msg)
    rest = "&".join("".join(option) for option in options if option[0] != ours)
    return f"{place}?{rest}" if rest else place, {ours: values[0]}
