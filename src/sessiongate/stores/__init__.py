"""Where sessions are kept.

Each store is loaded when it is first asked for: a driver that is not
installed hurts only those who want it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from sessiongate.stores import codec
from sessiongate.stores._urls import open_store
from sessiongate.stores.base import Page, Record, Store
from sessiongate.stores.memory import MemoryStore

if TYPE_CHECKING:
    from sessiongate.stores.postgres import PostgresStore
    from sessiongate.stores.redis import RedisStore
    from sessiongate.stores.sqlite import SQLiteStore

__all__ = [
    "MemoryStore",
    "Page",
    "PostgresStore",
    "Record",
    "RedisStore",
    "SQLiteStore",
    "Store",
    "codec",
    "open_store",
]

_ON_DEMAND: Final = {"PostgresStore": "postgres", "RedisStore": "redis", "SQLiteStore": "sqlite"}


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_ON_DEMAND[name]}"), name)
