"""One server in a process of its own: ``python -m tests.servers.worker SERVER MANAGER URL DIR``.

It says on which port it listens, and ends when its stdin is closed.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from importlib import import_module
from pathlib import Path
from select import select
from typing import TYPE_CHECKING, Any, Final, Literal
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import uvicorn
import waitress  # type: ignore[import-untyped] # its types are a package of their own
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped] # has no types
from tests.hygiene import each_record
from tests.servers.shared_clock import SharedClock
from tests.servers.sites import flask_site, starlette_site
from werkzeug.serving import make_server

from sessiongate import JWTSessionManager, SessionManager, stores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sessiongate import Event
    from sessiongate.stores import Store

__all__ = ["CLOCK", "EVENTS", "LOGGED", "TIMEOUT"]

TIMEOUT: Final = 3600
"""Seconds of the sessions."""
CLOCK: Final = "clock"
EVENTS: Final = "events"
LOGGED: Final = "logged"
"""Files in the directory; each event is a line, its kind and session; so is each log record."""

_PATIENCE: Final = 20
"""Seconds to wait for the store: a busy machine must not matter."""


def _sqlite(url: str) -> Store:
    return stores.SQLiteStore(url.removeprefix("sqlite://"), timeout=_PATIENCE)


def _redis(url: str) -> Store:
    return stores.RedisStore(url, connect_timeout=_PATIENCE, timeout=_PATIENCE)


def _postgres(url: str) -> Store:
    return stores.PostgresStore(url, connect_timeout=_PATIENCE, timeout=_PATIENCE)


def _memory(_url: str) -> Store:
    return stores.MemoryStore()


STORES: Final[Mapping[str, Callable[[str], Store]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "redis": _redis,
    "postgresql": _postgres,
}
MANAGERS: Final[Mapping[str, type[SessionManager]]] = {
    "opaque": SessionManager,
    "jwt": JWTSessionManager,
}


def _uvicorn(
    listener: socket.socket, manager: SessionManager, http: Literal["h11", "httptools"] = "h11"
) -> None:
    site = starlette_site(manager)
    config = uvicorn.Config(site, http=http, log_level="warning", lifespan="off")
    uvicorn.Server(config).run([listener])


def _httptools(listener: socket.socket, manager: SessionManager) -> None:
    _uvicorn(listener, manager, "httptools")


def _waitress(listener: socket.socket, manager: SessionManager) -> None:
    waitress.serve(flask_site(manager), sockets=[listener], threads=8)


def _werkzeug(listener: socket.socket, manager: SessionManager) -> None:
    site = flask_site(manager)
    make_server("127.0.0.1", 0, site, threaded=True, fd=listener.fileno()).serve_forever()


def _wsgiref(listener: socket.socket, manager: SessionManager) -> None:
    server = WSGIServer(listener.getsockname(), WSGIRequestHandler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.server_name, server.server_port = listener.getsockname()
    server.setup_environ()
    server.set_app(flask_site(manager))
    server.serve_forever()


def _gunicorn(listener: socket.socket, manager: SessionManager) -> None:
    number = listener.detach()  # gunicorn closes it

    class Site(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            settings: dict[str, Any] = {
                "bind": f"fd://{number}",
                "worker_class": "gthread",
                "threads": 8,
                "loglevel": "error",
                "control_socket_disable": True,  # it would stand in the home directory
            }
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return flask_site(manager)

    Site().run()


def _gevent(listener: socket.socket, manager: SessionManager) -> None:
    # Not everybody who runs other tests has it.
    pywsgi, monkey = map(import_module, ("gevent.pywsgi", "gevent.monkey"))
    assert monkey.is_module_patched("threading")
    pywsgi.WSGIServer(listener, flask_site(manager), log=None).serve_forever()


SERVERS: Final[Mapping[str, Callable[[socket.socket, SessionManager], None]]] = {
    "uvicorn": _uvicorn,
    "werkzeug": _werkzeug,
    "wsgiref": _wsgiref,
    "gevent": _gevent,
    "gunicorn": _gunicorn,
    "httptools": _httptools,
    "waitress": _waitress,
}


def _live_as_long_as_stdin(number: signal.Signals) -> None:
    def wait() -> None:
        # Where gevent has patched both, a thread may wait in select() and not in read().
        while select([0], [], []) and os.read(0, 1):
            pass
        os.kill(os.getpid(), number)

    threading.Thread(target=wait, daemon=True).start()


def main(server: str, kind: str, url: str, directory: Path) -> None:
    """Serve until stdin is closed."""
    # Gunicorn has children to end; the others have nothing to do at their end.
    _live_as_long_as_stdin(signal.SIGQUIT if server == "gunicorn" else signal.SIGKILL)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    told = os.open(directory / EVENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def tell(event: Event) -> None:
        os.write(told, f"{event.kind} {event.session}\n".encode())

    manager = MANAGERS[kind](
        TIMEOUT,
        None,
        store=STORES[url.partition(":")[0]](url),
        secret_key="k" * 64,
        clock=SharedClock(directory / CLOCK),
        on_event=tell,
    )
    logged = os.open(directory / LOGGED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(line: str) -> None:
        os.write(logged, ascii(line).encode() + b"\n")

    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener, each_record(write):
        os.write(1, f"{listener.getsockname()[1]}\n".encode())
        SERVERS[server](listener, manager)


if __name__ == "__main__":
    _, server, kind, url, directory = sys.argv
    main(server, kind, url, Path(directory))
