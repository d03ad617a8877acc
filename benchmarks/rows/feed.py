"""News of ended sessions: the near cache, open websockets, and what a logout pays for telling."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from measure import Case
from promises import Kept
from requesting import SECRET, bearer
from sessiongate import SessionManager
from sessiongate.asgi import SessionAuthMiddleware
from sessiongate.stores import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.stores import Store

__all__ = ["logouts", "near_cache", "sockets"]

_SOCKETS: Final = 10_000
_PATIENCE: Final = 30
_LOGOUTS: Final = 64
"""In a round."""
_ROUNDS: Final = 40
_CLIENTS: Final = (1, 8)


def _manager(store: Store, **options: Any) -> SessionManager:
    options = {"max_concurrent_sessions": None, "existing": "new", **options}
    return SessionManager(store=store, secret_key=SECRET, **options)


def near_cache(stores: dict[str, Store]) -> list[Case]:
    """A check that the near cache answers, beside one in memory that writes as little."""
    memory = _manager(MemoryStore(), touch_every=3600)
    cases = [Case("memory: check that writes nothing", _check(memory), "floor")]
    for name, store in stores.items():
        if getattr(store, "feed", None) is None:
            continue  # no near cache there
        manager = _manager(store, touch_every=3600, near_cache=60)
        cases.append(Case(f"{name}: near hit", _check(manager), "ours"))
        _open(manager)
    return cases


def _check(manager: SessionManager) -> Callable[[], None]:
    token = manager.create_session("alice") or ""

    def check() -> None:
        assert manager.validate_session(token)  # noqa: S101

    check()
    return check


def _open(manager: SessionManager) -> None:
    """Return once its feed is open."""
    manager.hub.start()
    give_up = time.monotonic() + _PATIENCE
    while not manager.hub.is_open:
        if time.monotonic() > give_up:
            msg = f"the feed does not open: {manager.hub.failure}"
            raise TimeoutError(msg)
        time.sleep(0.01)


async def sockets() -> list[Kept]:
    """Websockets that are open, each of another session: bytes of ours, and the time to a close."""
    bare, _ = await _opened(_bystander)
    manager = _manager(MemoryStore())
    tokens = [manager.create_session(f"user{n}") or "" for n in range(_SOCKETS)]
    app = SessionAuthMiddleware(_bystander, manager)
    gone = asyncio.Event()
    ours, of_news = await _opened(app, tokens, gone)
    times: list[float] = []
    for token in tokens[:: _SOCKETS // 100]:
        gone.clear()
        began = time.perf_counter()
        manager.invalidate_session(token)
        await gone.wait()
        times.append(time.perf_counter() - began)
    for task in _TASKS:
        task.cancel()
    manager.hub.stop()
    return [
        Kept(f"bytes of the news for each of {_SOCKETS:,} open websockets", 2048, of_news),
        Kept("all bytes of ours for each of them", 5120, ours - bare),
        Kept("a logout until the close in its process, ms", 5, 1000 * statistics.median(times)),
    ]


async def _bystander(_scope: Any, receive: Any, send: Any) -> None:
    """Accept, and wait."""
    await receive()
    await send({"type": "websocket.accept", "headers": []})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _opened(
    app: Any, tokens: list[str] | None = None, gone: asyncio.Event | None = None
) -> tuple[float, float]:
    """Open so many websockets, and let them wait: bytes of each, and of those what feed/ takes."""

    async def send(message: Any) -> None:
        if message["type"] == "websocket.close" and gone is not None:
            gone.set()

    def receiving() -> Any:
        first = [{"type": "websocket.connect"}]

        async def receive() -> Any:
            return first.pop() if first else await asyncio.get_running_loop().create_future()

        return receive

    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(_SOCKETS):
        headers = [bearer(tokens[number])] if tokens else []
        scope = {"type": "websocket", "path": "/", "headers": headers, "subprotocols": []}
        _TASKS.add(asyncio.ensure_future(app(scope, receiving(), send)))
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    of_feed = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(inclusive=True, filename_pattern=_FEED)]
    )
    tracemalloc.stop()
    of_news = sum(found.size for found in of_feed.statistics("filename"))
    return (after - before) / _SOCKETS, of_news / _SOCKETS


_FEED: Final = "*/sessiongate/feed/*"
_TASKS: Final[set[asyncio.Future[None]]] = set()


def logouts(stores: dict[str, Store]) -> list[Kept]:
    """What a logout takes while another process listens, over one while nobody does."""
    kept: list[Kept] = []
    for name in ("Redis", "PostgreSQL"):
        store: Any = stores.get(name)
        if store is None:
            continue
        for clients in _CLIENTS:
            with ThreadPoolExecutor(clients) as pool:
                ratio = _logouts(_manager(store), pool, clients)
            text = f"{name}: a logout that is told, over one that is not, {clients} at a time"
            # What eight at a time pay is measured; only that of one is promised.
            kept.append(Kept(text, 1.3 if clients == 1 else 4.0, ratio))
    return kept


def _logouts(manager: SessionManager, pool: ThreadPoolExecutor, clients: int) -> float:
    store: Any = manager.store
    telling: str = getattr(store, "_delete", "")
    plain = telling.partition("(")[2].partition(" RETURNING")[0]
    alone: list[float] = []
    told: list[float] = []
    for _ in range(_ROUNDS):
        with closing(store.feed()) as feed:
            feed.probe()  # which says that somebody listens
            feed.wait(_PATIENCE)
            told.append(_round(manager, pool, clients))
        if telling:
            store._delete = plain  # noqa: SLF001 - as if it had no feed
        else:
            _silence(store)
        alone.append(_round(manager, pool, clients))
        if telling:
            store._delete = telling  # noqa: SLF001
    return statistics.median(told) / statistics.median(alone)


def _silence(store: Any) -> None:
    """Say that nobody listens."""
    store._run(_forget(store))  # noqa: SLF001 - as if the lease had run out


def _forget(store: Any) -> Any:
    yield "DEL", store._prefix + "{0}:listening"  # noqa: SLF001


def _round(manager: SessionManager, pool: ThreadPoolExecutor, clients: int) -> float:
    tokens = [manager.create_session("alice") or "" for _ in range(_LOGOUTS)]
    share = len(tokens) // clients
    parts = [tokens[number * share : (number + 1) * share] for number in range(clients)]

    def log_out(part: list[str]) -> None:
        for token in part:
            manager.invalidate_session(token)

    began = time.perf_counter()
    list(pool.map(log_out, parts))
    return time.perf_counter() - began
