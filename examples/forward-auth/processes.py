"""The backend and the proxies as processes, with the configurations of this folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE: Final = Path(__file__).parent
PORTS: Final = {"gate": "9301", "backend": "9302", "nginx": "9310", "caddy": "9320"}
"""As the configurations have them."""
COMMANDS: Final = {
    "backend": f"node {HERE / 'backend.mjs'} {{backend}}",
    "nginx": "nginx -p {directory}/ -e stderr -c nginx.conf",
    "caddy": "caddy run --adapter caddyfile --config {directory}/Caddyfile",
}
_LISTENS: Final = {
    "backend": "listening",
    "nginx": "start worker process ",
    "caddy": "serving initial configuration",
}
"""What each says when it accepts connections."""
_PATIENCE: Final = 5
"""Seconds that a process has to end."""


def free_ports() -> dict[str, str]:
    """A free port for each; all are held until all are known."""
    with ExitStack() as stack:
        sockets = {
            name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in PORTS
        }
        return {name: str(found.getsockname()[1]) for name, found in sockets.items()}


def find(name: str) -> str:
    """The program of one of ``COMMANDS``; ``/usr/sbin`` is not on everybody's path.

    Raises:
        FileNotFoundError: It is not installed.
    """
    program = COMMANDS[name].split()[0]
    found = shutil.which(program, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if found is None:
        raise FileNotFoundError(program)
    return found


@contextmanager
def running(name: str, directory: Path, ports: Mapping[str, str]) -> Iterator[list[str]]:
    """Run one of ``COMMANDS`` on these ports: what it says, from when it accepts connections.

    Raises:
        FileNotFoundError: The program is not installed.
        RuntimeError: It ended before it accepted connections.
    """
    for path in HERE.iterdir():
        if path.suffix == ".conf" or path.name == "Caddyfile":
            text = path.read_text(encoding="utf-8")
            for known, port in PORTS.items():
                text = text.replace(f":{port}", f":{ports[known]}")
            (directory / path.name).write_text(text, encoding="utf-8")
    command = [find(name), *COMMANDS[name].format(directory=directory, **ports).split()[1:]]
    if name == "nginx" and os.geteuid() == 0:
        command += ["-g", "user root;"]  # nobody else may look into a temporary directory
    process = subprocess.Popen(  # noqa: S603 - programs of this machine
        command,
        env=os.environ | {"XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    said: list[str] = []
    reader = threading.Thread(target=said.extend, args=(process.stdout,))
    try:
        for line in process.stdout:
            said.append(line)
            if _LISTENS[name] in line:
                break
        else:
            msg = f"{name} did not start:\n{''.join(said)}"
            raise RuntimeError(msg)
        reader.start()
        yield said
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        finally:
            process.kill()  # which does nothing to one that has ended
            process.wait()
        if reader.ident is not None:
            reader.join()
        process.stdout.close()
