"""What leaks: nothing into logs, reprs or errors; and no flood of bad tokens floods a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.hygiene import TOKEN, every_record, leaks
from tests.managers.verbs import KEY
from tests.stores.passing import PassingStore

from sessiongate import JWTSessionManager, StoreError
from sessiongate.testing import ManualClock

if TYPE_CHECKING:
    from tests.managers.verbs import Make

    from sessiongate import SessionManager

FLOOD = 10_000


class FailingStore(PassingStore):
    """Fails with all that it was asked in the chain of errors."""

    def before(self, name: str, *arguments: Any) -> None:
        raise StoreError from OSError(repr((name, *arguments)))


def test_the_watch_knows_a_token_when_it_sees_one(make: Make) -> None:
    token = make().create_session("alice")
    assert TOKEN.fullmatch(token)
    assert leaks([f"x {token} y"])


def test_the_watch_sees_every_record_and_knows_a_secret(logged: list[str]) -> None:
    import logging  # noqa: PLC0415 - only this test writes a line itself

    logger = logging.getLogger("some.library")
    logger.propagate = False
    made = JWTSessionManager().secret_key
    secrets = [KEY, made, made.encode(), "my_secret", "-----BEGIN PUBLIC KEY-----", "0f" * 16]
    with every_record() as lines:
        for secret in secrets:
            logger.debug("key %s", secret)
            logger.debug("a value", exc_info=ValueError(secret))
        logger.debug("session %s of alice", "A" * 22)
    assert len(lines) == 2 * len(secrets) + 1
    assert leaks(lines) == lines[:-1]
    assert logged == lines, "the whole suite is watched in the same way"
    logged.clear()


def test_no_flood_of_bad_tokens_floods_the_log(kind: type[SessionManager]) -> None:
    m = kind(secret_key=KEY, clock=ManualClock())
    token = m.create_session("alice") or ""
    forged = token[:-5] + ("0" if token[-5] != "0" else "1") + token[-4:]
    with every_record() as lines:
        for i in range(FLOOD):
            m.validate_session(f"{forged}{i}" if i % 2 else forged)
    # An opaque token does not say which key has signed it.
    assert ["another key" in line for line in lines] == (
        [] if kind is JWTSessionManager else [True]
    )


@pytest.mark.parametrize("verb", ["validate_session", "refresh_session", "invalidate_session"])
def test_no_flood_of_dead_tokens_floods_the_log(make: Make, verb: str) -> None:
    m = make()
    token = m.create_session("alice")
    m.invalidate_session(token)
    with every_record() as lines:
        for _ in range(100):
            getattr(m.manager, verb)(token)
    assert lines == []


def test_no_repr_shows_a_key_or_a_token(make: Make) -> None:
    m = make()
    token = m.create_session("alice")
    manager = m.manager
    for thing in (
        manager,
        manager.sessions,
        manager.operations,
        manager.operations.codec,
        manager.operations.policy,
        manager.operations.superseded,
        manager.user_sessions("alice"),
    ):
        assert KEY not in repr(thing)
        assert token not in repr(thing)


def test_a_failing_store_gives_nothing_away(make: Make) -> None:
    token = make().create_session("alice")
    m = make(store=FailingStore())
    for verb in (m.validate_session, m.refresh_session, m.invalidate_session):
        with every_record() as lines, pytest.raises(StoreError) as caught:
            verb(token)
        chain = [caught.value, caught.value.__cause__, caught.value.__context__]
        assert not any(token in f"{error!r} {error}" for error in chain)
        assert not any(token in line for line in lines)
