"""The demo as a user starts it: a process of its own, on ports of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import httpx
from tests.examples.quickly import quick_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Browser", "Demo"]

DEMO: Final = Path(__file__).parents[2] / "examples" / "demo.py"


class Browser(httpx.Client):
    """Keeps cookies, takes HTML, follows redirects; each one is another device."""

    def __init__(self) -> None:
        headers = {"Accept": "text/html", "User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"}
        super().__init__(headers=headers, follow_redirects=True, trust_env=False)

    def log_in(self, site: str, password: str, **fields: str) -> httpx.Response:
        return self.post(
            f"{site}/login", data={"username": "alice", "password": password, **fields}
        )

    def is_known_to(self, site: str) -> bool:
        return "Hello, alice" in self.get(f"{site}/account").text

    def other_devices(self, site: str) -> list[str]:
        """Where the forms of the others post to; that of this one comes first."""
        page = self.get(f"{site}/devices").text
        assert page.count("this one") == 1
        return [site + url for url in re.findall(r'action="(/devices/end/[^"]+)"', page)[1:]]


@dataclass
class Demo:
    process: subprocess.Popen[str]
    output: str
    """All that was printed until it was ready."""

    @classmethod
    def start(
        cls, data: Path, *options: str, flask_port: int = 0, secret_key: str | None = None
    ) -> Demo:
        """Start it and return when it says that it is ready, or has given up."""
        key = {} if secret_key is None else {"SESSIONGATE_SECRET_KEY": secret_key}
        process = subprocess.Popen(
            [
                *(sys.executable, str(DEMO), "--data", str(data)),
                *("--flask-port", str(flask_port), "--starlette-port", "0", *options),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=quick_environment(**key),
        )
        return cls(process, "".join(cls._until_ready(process)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind, whatever the test found."""
        self.process.terminate()
        self.process.communicate()

    @staticmethod
    def _until_ready(process: subprocess.Popen[str]) -> Iterator[str]:
        assert process.stdout is not None
        for line in process.stdout:
            yield line
            if "Ready" in line:
                return

    def _printed(self, pattern: str) -> str:
        found = re.search(pattern, self.output)
        assert found is not None, self.output
        return found[1]

    @property
    def flask(self) -> str:
        return self._printed(r"Flask +(https?://\S+)")

    @property
    def starlette(self) -> str:
        return self._printed(r"Starlette +(https?://\S+)")

    @property
    def password(self) -> str:
        return self._printed(r"password (\S+)")

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """The exit code, and all that was written to stderr."""
        self.process.send_signal(number)
        _, errors = self.process.communicate()
        return self.process.returncode, errors
