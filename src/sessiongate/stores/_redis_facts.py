"""What Redis says of itself: for the ``doctor`` command, and for nobody else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from sessiongate.stores.engine import result_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.stores.base import Facts

__all__ = ["facts_of"]


def facts_of(client: Any) -> list[Facts]:
    """Ask each primary that the client knows."""
    result_of(client.borrow(()))
    try:
        asked = client.client
        if not hasattr(asked, "nodes_manager"):
            return [_facts(asked, "")]
        nodes = ((asked.get_redis_connection(node), node.name) for node in asked.get_primaries())
        return [_facts(connection, name) for connection, name in nodes]
    finally:
        result_of(client.give_back())
        result_of(client.close())


def _facts(node: Any, name: str) -> Facts:
    found: Facts = {"node": name}
    before = time.time()
    said = _allowed(node.time)
    if said is not None:
        found["ahead"] = said[0] + said[1] / 1e6 - (before + time.time()) / 2
    info = _allowed(node.info)
    if info is None:
        return found
    found["version"] = str(info.get("valkey_version") or info.get("redis_version"))
    policy = info.get("maxmemory_policy")
    if policy is not None:
        found["drops"] = "" if policy == "noeviction" else str(policy)
    settings: dict[Any, Any] = _allowed(lambda: node.config_get("save", "appendfsync")) or {}
    texts = {_text(key): _text(value) for key, value in settings.items()}
    if info.get("aof_enabled") and (synced := texts.get("appendfsync")):
        found["survives"] = {"always": "all", "everysec": "seconds"}.get(synced, "snapshots")  # type: ignore[typeddict-item]
    elif "save" in texts:
        found["survives"] = "snapshots" if texts["save"] else "nothing"
    return found


def _allowed(ask: Callable[[], Any]) -> Any:
    """Return the answer, ``None`` if this user may not ask."""
    try:
        return ask()
    except ResponseError:
        return None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
