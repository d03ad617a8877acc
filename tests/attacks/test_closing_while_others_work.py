"""A store that is closed while others work fails their calls with ``StoreError``, and nothing else."""

from __future__ import annotations

import threading
import uuid

import pytest
import redis
from sessiongate import SessionManager
from sessiongate.errors import StoreError
from sessiongate.stores import RedisStore


@pytest.mark.slow
def test_redis() -> None:
    prefix = f"closing-{uuid.uuid4().hex}:"
    others: list[Exception] = []
    for _ in range(20):
        store = RedisStore(prefix=prefix)
        manager = SessionManager(store=store, secret_key="k" * 64, max_concurrent_sessions=None)
        token = manager.create_session("alice") or ""
        begun = threading.Barrier(5)

        def work(manager: SessionManager = manager, begun: threading.Barrier = begun) -> None:
            begun.wait()
            try:
                while True:
                    manager.validate_session(token)
            except StoreError:
                pass
            except Exception as error:
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
    client = redis.Redis()
    for key in client.scan_iter(f"{prefix}*"):
        client.delete(key)
    client.close()
    assert others == []
