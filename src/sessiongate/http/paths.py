"""Which paths a rule of the middleware covers: prefixes of whole segments, or a predicate."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TypeAlias

from sessiongate.errors import ConfigurationError

Paths: TypeAlias = Iterable[str] | Callable[[str], object]
"""Prefixes such as ``"/static"``, or a function of the path that says whether it is covered."""

FindRule: TypeAlias = Callable[[str], str | None]
"""The rule that covers a path, in words; ``None``: none does."""


def path_rules(paths: Paths, name: str) -> FindRule | None:
    """Check the paths of an option; ``None``: there are none."""
    if callable(paths):
        return _by_predicate(paths, name)
    if isinstance(paths, str) or not isinstance(paths, Iterable):
        msg = f"{name} must be a list of path prefixes, such as ['/static'], or a function"
        raise TypeError(msg)
    prefixes = tuple(paths)
    for prefix in prefixes:
        if not isinstance(prefix, str) or not prefix.startswith("/") or prefix.startswith("//"):
            msg = f"{name} must begin with / in each path prefix, such as '/static'; got {prefix!r}"
            raise ConfigurationError(msg)
    return _by_prefix(prefixes) if prefixes else None


def _by_predicate(covers: Callable[[str], object], name: str) -> FindRule:
    if inspect.iscoroutinefunction(covers) or inspect.iscoroutinefunction(type(covers).__call__):
        msg = f"{name} must not be an async function: it is called, not awaited"
        raise TypeError(msg)
    rule = getattr(covers, "__qualname__", repr(covers))
    return lambda path: rule if covers(path) else None


def _by_prefix(prefixes: Iterable[str]) -> FindRule:
    rules = [(prefix.rstrip("/"), f"{prefix.rstrip('/')}/", prefix) for prefix in prefixes]

    def find(path: str) -> str | None:
        for whole, below, prefix in rules:
            if path.startswith(below) or path == whole:
                return prefix
        return None

    return find
