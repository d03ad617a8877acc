"""One gate and one backend behind nginx and Caddy: start it with ``make demo-forward``.

The four listen on free ports of this machine. Ctrl-C stops them.
"""

from __future__ import annotations

import secrets
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gate import create_app
from processes import COMMANDS, find, free_ports, running
from sessiongate import ServiceTokens, SessionManager
from shared import Accounts


def make_tokens() -> ServiceTokens:
    """The tokens for backends, with a key that is made at each start; yours is kept."""
    key = generate_private_key(SECP256R1())
    return ServiceTokens(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        issuer="https://auth.example",
        client_id="gate",
        audiences={"https://reports.example": ["read"]},
    )


def main() -> int:
    """Run until Ctrl-C: the exit code."""
    try:
        for name in COMMANDS:
            find(name)
    except FileNotFoundError as missing:
        print(f"Missing: {missing}. On Debian and Ubuntu: .ci/servers", file=sys.stderr)
        return 1
    password, accounts = secrets.token_urlsafe(9), Accounts()
    accounts.add("alice", password, scopes=("admin", "read"))
    accounts.add("bob", password, scopes=("read",))
    manager = SessionManager(600, max_concurrent_sessions=None, rotate_after=60)
    app = create_app(manager, accounts, make_tokens())
    config = uvicorn.Config(app, log_level="warning", lifespan="off")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        # It listens before the others ask it.
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        ports = free_ports() | {"gate": str(listener.getsockname()[1])}
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name in COMMANDS:
            stack.enter_context(running(name, directory, ports))
        print(f"\n  nginx  http://127.0.0.1:{ports['nginx']}/")
        print(f"  Caddy  http://127.0.0.1:{ports['caddy']}/\n")
        print("  Paths: / /admin/ /settings/ /api/ /public/ /reports/ /login")
        print(f"  Log in as alice or bob, password {password}. Only alice may see /admin/.")
        print("  Ready. Ctrl-C stops it.\n", flush=True)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
