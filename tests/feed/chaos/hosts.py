"""Hosts with a network of their own, as namespaces of this machine, where it allows that."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Host", "hosts"]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass(frozen=True)
class Host:
    """One namespace, on a cable of its own to this machine."""

    name: str
    link: str
    """The end of the cable on this side."""
    address: str
    """Of this machine, as the host knows it."""

    @property
    def prefix(self) -> list[str]:
        """What runs a command there."""
        return ["ip", "netns", "exec", self.name]

    def part(self) -> None:
        """Let every packet be lost, either way, without a word."""
        _ip("link", "set", self.link, "down")

    def join(self) -> None:
        _ip("link", "set", self.link, "up")


@contextmanager
def hosts(number: int) -> Iterator[list[Host]]:
    """So many; skip the test where the machine does not allow it."""
    if shutil.which("ip") is None:
        pytest.skip("needs the program ip, of iproute2")
    with ExitStack() as stack:
        made = []
        for at in range(number):
            unique = f"sg{os.getpid() % 100_000}-{at}"
            host = Host(unique, f"{unique}a", f"10.213.{at}.1")
            try:
                _ip("netns", "add", host.name)
                stack.callback(_ip, "netns", "del", host.name)  # the cable goes with it
                _ip(
                    "link",
                    "add",
                    host.link,
                    "type",
                    "veth",
                    "peer",
                    "name",
                    "eth0",
                    "netns",
                    unique,
                )
                _ip("addr", "add", f"{host.address}/24", "dev", host.link)
                _ip("link", "set", host.link, "up")
                _ip("-n", unique, "addr", "add", f"10.213.{at}.2/24", "dev", "eth0")
                _ip("-n", unique, "link", "set", "eth0", "up")
            except (OSError, subprocess.CalledProcessError) as error:
                said = getattr(error, "stderr", b"") or str(error).encode()
                pytest.skip(f"no network namespaces here: {said.decode(errors='replace').strip()}")
            made.append(host)
        yield made
