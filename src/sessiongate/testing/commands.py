"""What may be asked of the sessions in a store, as values: so tests can list, pair and print them.

``execute(store, command)`` has the package decide on that store, without a manager,
a token or a clock. Each command names the rule that decides it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sessiongate.administration.flows import Administration
from sessiongate.admission.rules import Admission, Login
from sessiongate.core.decisions import Decisions
from sessiongate.core.steps import aask, arun, ask, run
from sessiongate.errors import StoreError
from sessiongate.events import Event
from sessiongate.testing import outcomes
from sessiongate.tokens import TokenPayload

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessiongate.core.rotation import Policy, Renewal
    from sessiongate.core.row import Row
    from sessiongate.core.steps import Call, Flow, Step
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
"""Let a user in: ``admission.rules``."""


class Touch(NamedTuple):
    """Present a generation of a session: ``core.rotation.present``."""

    sid: str
    generation: int
    now: int
    policy: Policy
    rotation: Renewal


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


def step_of(command: Command, store: Store, *, full: bool = False) -> Step[Any]:
    """The decision about a command, on the records of that store.

    ``full``: whether a login guesses that the limit has been reached.
    """
    decisions = Decisions(store.codec)
    admission = Admission(store.codec, decisions.superseded)
    admission.full = full
    match command:
        case Login():
            return _step(admission.admit(command), outcomes.of_login)
        case Touch():
            return _step(_touch(decisions, command), outcomes.of_touch)
        case Read(sid, now):
            return _step(decisions.look(now, sid))
        case Close(sid, now, generation, username):
            closing = decisions.close(now, sid, generation=generation, username=username)
            return _step(closing, outcomes.of_close)
        case CloseUser(username, keep, now):
            closing_all = Administration(decisions).close_user(now, username, keep)
            return _step(closing_all, outcomes.of_close_user)
        case List(username, now):
            return _step(_list(decisions, now, username))
        case _:
            return _verb(type(command).__name__.lower(), *command)


def _list(decisions: Decisions, now: int, username: str | None) -> Flow[tuple[Row, ...]]:
    listing = Administration(decisions).listing
    return listing.all(now) if username is None else listing.of_user(now, username)


def _touch(decisions: Decisions, command: Touch) -> Flow[Row | None]:
    data = yield "read", command.sid
    payload = TokenPayload(command.sid, command.generation)
    check = payload, command.now, command.rotation, None
    return (yield from decisions.touch(check, data, command.policy))


def _step(
    flow: Flow[Any], outcome: Callable[[Any, list[Event]], Any] = lambda answer, _: answer
) -> Step[Any]:
    """A flow whose events become part of its outcome."""
    events: list[Event] = []
    advance: Callable[[Any], Call | Event] = flow.send
    value: Any = None
    try:
        while True:
            request = advance(value)
            advance, value = flow.send, None
            if isinstance(request, Event):
                events.append(request)
                continue
            try:
                value = yield request
            except StoreError as error:
                advance, value = flow.throw, error
    except StopIteration as stop:
        return outcome(stop.value, events)


def _verb(*call: Any) -> Step[Any]:
    return (yield call)


def execute(store: Store, command: Command) -> Any:
    """Carry out a command: its outcome, as ``testing.outcomes`` has it."""
    return run(step_of(command, store), partial(ask, store))


async def aexecute(store: Store, command: Command) -> Any:
    """``execute``, to await."""
    return await arun(step_of(command, store), partial(aask, store))
