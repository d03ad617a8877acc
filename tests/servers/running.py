"""A WSGI and an ASGI server on loopback sockets, in threads of the test.

With a ``certificate``, the files of it and of its key, they speak HTTPS.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import uvicorn
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONG = 30
"""Seconds, after which a test that hangs is a test that fails."""


@contextmanager
def serving_wsgi(app: Any, certificate: tuple[str, str] | None = None) -> Iterator[str]:
    """Werkzeug's threaded server; gives its address, without a scheme."""
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=certificate)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(_LONG)
        server.server_close()


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@contextmanager
def serving_asgi(
    app: Any, certificate: tuple[str, str] | None = None, lifespan: Literal["on", "off"] = "off"
) -> Iterator[str]:
    """Uvicorn; gives its address, without a scheme."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, lifespan=lifespan, ws="websockets-sansio")
        config.ssl_certfile, config.ssl_keyfile = certificate or (None, None)
        server = _Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert server.listens.wait(_LONG), "uvicorn did not start"
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_LONG)
