"""Start both servers on one login: python examples/django_and_fastapi/run.py."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

EXAMPLES = Path(__file__).parents[1]
USER = """
from django_and_fastapi import django_site
from django.contrib.auth import get_user_model
from django.core.management import call_command
call_command("migrate", verbosity=0)
get_user_model().objects.create_user("alice", password="open sesame", is_staff=True)
"""


def main(site: str = "8000", api: str = "8001") -> None:
    """Make a database with one user, then serve until Ctrl+C."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        environment = {
            **os.environ,
            "SESSION_STORE": f"sqlite:///{folder}/sessions.db",
            "SESSION_KEY": secrets.token_urlsafe(64),
            "DJANGO_KEY": secrets.token_urlsafe(64),
            "DJANGO_FILE": f"{folder}/django.db",
        }
        paths = [str(EXAMPLES), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        subprocess.run([sys.executable, "-c", USER], env=environment, check=True)  # noqa: S603
        servers = list[subprocess.Popen[bytes]]()
        for app, port in (("django_site:app", site), ("fastapi_api:app", api)):
            # Opened here, so that it accepts connections from now on.
            listener = stack.enter_context(socket.create_server(("127.0.0.1", int(port))))
            number = listener.fileno()
            command = [sys.executable, "-m", "uvicorn", f"django_and_fastapi.{app}"]
            command += ["--fd", str(number), "--log-level", "warning"]
            servers.append(
                subprocess.Popen(command, env=environment, pass_fds=[number])  # noqa: S603
            )
            print(f"http://127.0.0.1:{listener.getsockname()[1]} is {app}", flush=True)
        print("Log in at Django's /login: alice, open sesame. Ctrl+C ends both.", flush=True)
        try:
            for server in servers:
                server.wait()
        except KeyboardInterrupt:
            print("Bye!")
        finally:
            for server in servers:
                server.terminate()
                server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
