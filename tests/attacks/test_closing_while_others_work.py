"""A store that is closed while others work fails their calls with ``StoreError`` alone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.stores.redis_server import RedisServer

from sessiongate import SessionManager
from sessiongate.errors import StoreError
from sessiongate.stores import RedisStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_redis(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    others: list[Exception] = []
    for _ in range(20):
        store = RedisStore(server.url, connect_timeout=60, timeout=60)
        manager = SessionManager(store=store, secret_key="k" * 64, max_concurrent_sessions=None)
        token = manager.create_session("alice") or ""
        begun = threading.Barrier(5)

        def work(
            manager: SessionManager = manager,
            token: str = token,
            begun: threading.Barrier = begun,
        ) -> None:
            begun.wait()
            try:
                while True:
                    manager.validate_session(token)
            except StoreError:
                pass
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
                others.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        begun.wait()
        for _ in range(50):
            manager.validate_session(token)
        store.close()
        for thread in threads:
            thread.join()
    server.stop()
    assert others == []
