"""Where the example apps start that tests ask, as their users start them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["quick_environment"]

_HASHES: Final = Path(__file__).with_name("quick_hashes")


def quick_environment(**more: str) -> dict[str, str]:
    """The environment of a process that hashes passwords in no time, and knows no key of ours."""
    known = {name: value for name, value in os.environ.items() if name != "SESSIONGATE_SECRET_KEY"}
    path = os.pathsep.join(filter(None, (str(_HASHES), known.get("PYTHONPATH"))))
    return {**known, "PYTHONPATH": path, **more}
