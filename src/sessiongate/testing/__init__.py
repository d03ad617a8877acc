"""Tools for the tests of others: logged-in clients, a clock to move, the contract of stores.

What is asked for is loaded when it is asked for: only ``StoreContract`` needs
pytest, and the pytest plugin that lives here slows no test run down.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sessiongate.testing.api_tokens import api_token_as
    from sessiongate.testing.clock import ManualClock
    from sessiongate.testing.contract import StoreContract
    from sessiongate.testing.counting import CountingStore
    from sessiongate.testing.login import Login, alogin_as, login_as
    from sessiongate.testing.users import user

__all__ = [
    "CountingStore",
    "Login",
    "ManualClock",
    "StoreContract",
    "alogin_as",
    "api_token_as",
    "login_as",
    "user",
]

_HOMES: Final = {
    "CountingStore": "counting",
    "Login": "login",
    "ManualClock": "clock",
    "StoreContract": "contract",
    "alogin_as": "login",
    "api_token_as": "api_tokens",
    "login_as": "login",
    "user": "users",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{home}"), name)
