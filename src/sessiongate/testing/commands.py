"""What may be asked of the sessions in a store, as values: so tests can list, pair and print them.

``execute(store, command)`` has the package decide on that store, without a manager,
a token or a clock. Each command names the rule that decides it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sessiongate.core.admission import Login
from sessiongate.core.decisions import Decisions
from sessiongate.core.steps import aask, arun, ask, run

if TYPE_CHECKING:
    from sessiongate.core.outcomes import Policy
    from sessiongate.core.steps import Step
    from sessiongate.stores.base import Store

__all__ = [
    "Close",
    "CloseUser",
    "Command",
    "Count",
    "List",
    "Open",
    "Read",
    "Sweep",
    "Touch",
    "aexecute",
    "execute",
    "step_of",
]

Open: TypeAlias = Login
"""Let a user in: ``core.admission``."""


class Touch(NamedTuple):
    """Present a generation of a session: ``core.rotation.present``."""

    sid: str
    generation: int
    now: int
    policy: Policy
    rotation: int


class Read(NamedTuple):
    """The live row of this sid, or ``None``; nothing is touched."""

    sid: str
    now: int


class Close(NamedTuple):
    """End one session: ``core.rotation.close``."""

    sid: str
    now: int
    generation: int | None = None
    username: str | None = None


class CloseUser(NamedTuple):
    """End all sessions of a user but ``keep``."""

    username: str
    keep: str | None
    now: int


class Sweep(NamedTuple):
    """Remove up to ``limit`` expired records: how many there were."""

    now: int
    limit: int


class List(NamedTuple):
    """The live rows of a user, or with ``None`` of all, oldest first."""

    username: str | None
    now: int


class Count(NamedTuple):
    """How many records are live."""

    now: int


Command: TypeAlias = Open | Touch | Read | Close | CloseUser | Sweep | List | Count


def step_of(command: Command, store: Store) -> Step[Any]:
    """The decision about a command, on the records of that store."""
    decisions = Decisions(store.codec)
    match command:
        case Login():
            return decisions.open(command)
        case Touch():
            return decisions.touch(*command)
        case Read():
            return decisions.look(*command)
        case Close():
            return decisions.close(*command)
        case CloseUser():
            return decisions.close_user(*command)
        case List(None, now):
            return decisions.list_all(now)
        case List(str(username), now):
            return decisions.list_user(username, now)
        case _:
            return _verb(type(command).__name__.lower(), *command)


def _verb(*call: Any) -> Step[Any]:
    return (yield call)


def execute(store: Store, command: Command) -> Any:
    """Carry out a command: its outcome, as ``core.outcomes`` has it."""
    return run(step_of(command, store), partial(ask, store), _no_listener)


async def aexecute(store: Store, command: Command) -> Any:
    """``execute``, to await."""
    return await arun(step_of(command, store), partial(aask, store), _no_async_listener)


def _no_listener(_event: object) -> None:
    """A step has no events."""


async def _no_async_listener(_event: object) -> None:
    """A step has no events."""
