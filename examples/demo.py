"""One login for a Flask app and a Starlette app, each in a process of its own.

Start it with ``make demo``; Ctrl-C stops it. The sessions are kept in a SQLite
file, so a restart logs nobody out.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import secrets
import signal
import socket
import sys
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import connection, get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sessiongate.stores import SQLiteStore
from shared import (
    HERE,
    Accounts,
    Services,
    Site,
    make_api_tokens,
    make_manager,
    read_secret_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

HOST: Final = "127.0.0.1"
_DEVICE_BOUND: Final = """
  A browser binds its session only where it trusts the certificate:
  {}
  It renews the cookie at the app where you logged in."""
PATIENCE: Final = 5
"""Seconds that requests under way have to end."""


@dataclass(frozen=True)
class Task:
    """What one of the two server processes needs."""

    site: Site
    listener: socket.socket
    data: Path
    accounts: Accounts
    ready: Connection
    certificate: tuple[str, str] | None
    """The files of the certificate and of its key; ``None``: plain HTTP, and nothing is bound."""

    def run(self, server: Callable[[Task, Services], None]) -> None:
        """Run in the new process until the demo stops."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the store gets closed
        logging.basicConfig(
            level=logging.INFO, format=f"%(asctime)s  {self.site.name:9}  %(message)s", datefmt="%X"
        )
        # Show the events of sessions, but not a line for every request.
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        with (
            closing(SQLiteStore(self.data / "sessions.sqlite3", timeout=5)) as sessions,
            closing(SQLiteStore(self.data / "api_tokens.sqlite3", timeout=5)) as tokens,
        ):
            manager = make_manager(sessions, read_secret_key(self.data))
            api_tokens = make_api_tokens(tokens, read_secret_key(self.data, "api_tokens"))
            bound = self.certificate is not None
            server(self, Services(manager, self.accounts, self.site, api_tokens, bound))


def serve_flask(task: Task, services: Services) -> None:
    """Flask on Werkzeug's threads, as ``flask run`` does it: for development."""
    # Imported here, so that neither process loads what only the other one needs.
    from werkzeug.serving import make_server  # noqa: PLC0415

    from flask_app import create_app  # noqa: PLC0415

    app = create_app(services)
    host, port = task.listener.getsockname()
    server = make_server(
        host,
        port,
        app,
        threaded=True,
        fd=task.listener.fileno(),
        ssl_context=task.certificate,
    )
    task.ready.send("ready")
    server.serve_forever()


def serve_starlette(task: Task, services: Services) -> None:
    """Starlette on uvicorn."""
    import uvicorn  # noqa: PLC0415

    from starlette_app import create_app  # noqa: PLC0415

    app = create_app(services)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
    config.ssl_certfile, config.ssl_keyfile = task.certificate or (None, None)
    task.ready.send("ready")
    uvicorn.Server(config).run(sockets=[task.listener])


def listen(port: int) -> socket.socket:
    """A listening socket on this port, or on a free one if it is taken."""
    listener = socket.socket()
    if os.name == "posix":  # elsewhere the option would let two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        listener.bind((HOST, 0))
        print(f"Port {port} is taken; using {listener.getsockname()[1]} instead.")
    listener.listen()
    return listener


def start(
    data: Path, ports: tuple[int, int], password: str, *, device_bound: bool
) -> Iterator[tuple[SpawnProcess, Connection, Site]]:
    """Start both servers. Each has a pipe on which it says that it is ready."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("secret", "api_tokens"):
        read_secret_key(data, name)  # which makes it, before two processes would
    accounts = Accounts()
    accounts.add("alice", password, scopes=("notes:read", "notes:write"))
    certificate = None
    if device_bound:
        # Imported here, so that only who asks for it needs cryptography.
        from local_tls import make_certificate  # noqa: PLC0415

        certificate = make_certificate(data)
    listeners = [listen(port) for port in ports]
    names = ("Flask", "Starlette")
    # A session is bound at a name, and an address is none.
    begin = f"http://{HOST}" if certificate is None else "https://localhost"
    urls = [f"{begin}:{listener.getsockname()[1]}" for listener in listeners]
    spawn = get_context("spawn")
    for mine, server in enumerate((serve_flask, serve_starlette)):
        site = Site(names[mine], urls[mine], names[1 - mine], urls[1 - mine])
        ready, say_ready = spawn.Pipe(duplex=False)
        task = Task(site, listeners[mine], data, accounts, say_ready, certificate)
        process = spawn.Process(target=task.run, args=(server,), name=site.name, daemon=True)
        process.start()
        # The process has its own copy now. When the process ends, the pipe ends here.
        say_ready.close()
        listeners[mine].close()
        yield process, ready, site


def run(data: Path, ports: tuple[int, int], *, device_bound: bool) -> int:
    """Run until a signal comes or a server fails: the exit code."""
    password = secrets.token_urlsafe(9)
    started: list[tuple[SpawnProcess, Connection, Site]] = []
    code = 1
    # Ctrl-C reaches all processes of a terminal. The servers inherit that they ignore it,
    # and end when this one tells them to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        started.extend(start(data, ports, password, device_bound=device_bound))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for _, ready, _ in started:
            ready.recv()
        print()
        for _, _, site in started:
            print(f"  {site.name:9}  {site.url}")
        print(f"\n  Log in on either as alice, password {password}")
        if device_bound:
            print(_DEVICE_BOUND.format(data / "certificate.pem"))
        print("  Ready. Ctrl-C stops it.\n", flush=True)
        connection.wait([process.sentinel for process, _, _ in started])
    except KeyboardInterrupt:
        code = 0
    except EOFError:
        pass  # a server has ended before it was ready
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for process, _, _ in started:
            process.terminate()
        for process, _, _ in started:
            process.join(PATIENCE)
            process.kill()
    print("Stopped." if code == 0 else "A server ended unexpectedly; see above.", file=sys.stderr)
    return code


def main() -> int:
    """Read the command line and run the demo."""
    parser = argparse.ArgumentParser(description="Flask and Starlette on one login.")
    parser.add_argument("--flask-port", type=int, default=8001, metavar="PORT")
    parser.add_argument("--starlette-port", type=int, default=8002, metavar="PORT")
    parser.add_argument(
        "--data",
        type=Path,
        default=HERE.parent / ".demo",
        metavar="DIRECTORY",
        help="where the sessions and the key are kept (default: .demo in the repository)",
    )
    parser.add_argument(
        "--device-bound",
        action="store_true",
        help="speak HTTPS, and let browsers bind their sessions to the device",
    )
    options = parser.parse_args()
    ports = options.flask_port, options.starlette_port
    return run(options.data, ports, device_bound=options.device_bound)


if __name__ == "__main__":
    sys.exit(main())
