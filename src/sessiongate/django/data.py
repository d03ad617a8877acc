"""``request.session``: the data of ``django.contrib.sessions``, which belong to one login of ours.

They never outlive it: what was kept for a session that is not this request's is not shown.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY

from sessiongate.core.row import SECOND

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase
    from django.http import HttpRequest

    from sessiongate.django.configuration import Configuration
    from sessiongate.http.request_session import RequestSession

_OWNER: Final = "_sessiongate_owner"
"""Whose data: the handle of the session, its username, and when Django's own was moved."""
TOKEN: Final = "_sessiongate_token"  # noqa: S105 - a name, no secret
"""The token of a login without a request: the first request with these data takes it over."""
_STRAGGLERS: Final = 60 * SECOND
"""How long a browser may take to learn of the session that Django's own was moved to."""


def is_loaded(data: SessionBase) -> bool:
    """Whether somebody has looked at the data already, such as ``CSRF_USE_SESSIONS``."""
    return hasattr(data, "_session_cache")


def bind(request: HttpRequest, session: RequestSession, configuration: Configuration) -> None:
    """Have ``request.session`` show no data but those of this session, and of nobody.

    Blocks where they are loaded already.
    """
    data: Any = request.session
    if data.session_key is None:
        return
    bound = _bound_store(settings.SESSION_ENGINE)(data.session_key)
    bound.request, bound.session, bound.configuration = request, session, configuration
    if is_loaded(data):
        bound.accessed, bound.modified = data.accessed, data.modified
        bound._session_cache = bound.own_only(data._session)  # noqa: SLF001 - loaded
    request.session = bound


def own(data: SessionBase, session: RequestSession, moved_at: int | None = None) -> None:
    """Note whose data these are, from now on."""
    data[_OWNER] = [session.session, session.user.username, moved_at]


def is_owned(data: SessionBase) -> bool:
    """Whether these data are of a session of ours."""
    return _OWNER in data


def has_new_hash(data: SessionBase) -> bool:
    """Whether ``update_session_auth_hash`` was called: it changes nothing else."""
    return data.get(HASH_SESSION_KEY) not in {None, getattr(data, "hash_before", None)}


def owner_of(data: SessionBase) -> tuple[str, str] | None:
    """The handle and the username of the session that these data are of."""
    owner = data.get(_OWNER)
    return None if owner is None else (owner[0], owner[1])


@cache
def _bound_store(engine: str) -> Any:
    """The engine of the project; its data are checked when they are loaded, if ever."""
    base: Any = import_module(engine).SessionStore

    class BoundStore(base):  # type: ignore[misc]
        request: HttpRequest
        session: RequestSession
        configuration: Configuration
        hash_before: str | None = None

        def load(self) -> dict[str, Any]:
            return self.own_only(super().load())  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

        async def aload(self) -> dict[str, Any]:
            found: dict[str, Any] = await sync_to_async(self.load)()
            return found

        def own_only(self, loaded: dict[str, Any]) -> dict[str, Any]:
            """What of the loaded data this request may see: all, or nothing."""
            owner = loaded.get(_OWNER)
            if owner is None and not self._is_of_another_login(loaded):
                return loaded
            if owner is not None and owner[0] == self.session.session:
                self.hash_before = loaded.get(HASH_SESSION_KEY)
                return loaded
            if owner is not None and self._is_straggler(*owner):
                return {name: value for name, value in loaded.items() if name != _OWNER}
            if _was_read(self.session):
                self.delete()  # their session is over
            else:
                # It may be alive: the browser keeps its cookie.
                self.request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
            self._session_key = None
            return {}

        def _is_of_another_login(self, loaded: dict[str, Any]) -> bool:
            """Whether Django's own sessions let somebody in, and another app has since."""
            return (
                SESSION_KEY in loaded and TOKEN not in loaded and self.session.session is not None
            )

        def _is_straggler(self, handle: str, username: str, moved_at: int | None) -> bool:
            """Whether it was sent before the browser knew of the session that this became."""
            manager = self.configuration.manager
            if moved_at is None or self.session.session is not None:
                return False
            if manager.now() - moved_at > _STRAGGLERS:
                return False
            return any(one["handle"] == handle for one in manager.user_sessions(username))

    BoundStore.__qualname__ = base.__qualname__  # Django signs the data with it
    return BoundStore


def _was_read(session: RequestSession) -> bool:
    """Whether the request had its say: one without our cookie is of nobody."""
    is_plain = session.problem in {None, "invalid_token"} and session.skipped is None
    return is_plain and not session.credentials.by_authorization
