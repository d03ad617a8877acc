"""Django's signals: its logins and logouts are ours, and sessions end with their user."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from django.apps import apps
from django.contrib.auth import SESSION_KEY, get_user_model, user_logged_in, user_logged_out
from django.core.exceptions import FieldDoesNotExist
from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_save

from sessiongate.django import data
from sessiongate.django.apps import LABEL, SessionGateConfig
from sessiongate.django.configuration import configured
from sessiongate.django.refusals import SessionRefused
from sessiongate.django.users import login_options, of_request
from sessiongate.kits import verbs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

_FORMER: Final = "_sessiongate_former"
"""What a user was before it is saved: its username here, and what its sessions rest upon."""
_KEPT: Final = "_sessiongate_kept"
"""The sessions that were opened since the change, which the end at the commit spares."""


def connect() -> None:
    """Connect all of it; once, whoever calls this again."""
    uid = LABEL
    user_logged_in.connect(_open, dispatch_uid=uid)
    user_logged_out.connect(_close, dispatch_uid=uid)
    pre_save.connect(_remember, dispatch_uid=uid)
    post_save.connect(_end_if_changed, dispatch_uid=uid)
    post_delete.connect(_end_deleted, dispatch_uid=uid)


def _open(
    request: HttpRequest | None = None, user: AbstractBaseUser | None = None, **_: Any
) -> None:
    """Open a session after ``login()``.

    Others send the signal too, such as knox for its tokens. They leave Django's own key alone.
    """
    stored = getattr(request, "session", None)
    if request is None or user is None or stored is None:
        return
    if stored.get(SESSION_KEY) != _key_of(user):
        return
    current = of_request(request)
    if current is None:
        _hand_over(request, user)
        return
    options = current.options
    current.options = {}
    try:
        current.open(user, **options)
    except BaseException:
        # Nobody is half logged in: who it was before, it still is.
        stored.flush()
        current.attach()
        raise
    # A login in the transaction of the change rests upon what the user is now.
    cast("list[str | None]", getattr(user, _KEPT, [])).append(current.session.session)


def _hand_over(request: HttpRequest, user: AbstractBaseUser) -> None:
    """A login without a request of ours, as test clients do: its first request takes over."""
    configuration, stored = configured(), request.session
    options = login_options(user, stored, configuration)
    username = configuration.username_of(user)
    options["existing"] = "new"
    token = configuration.manager.create_session(username, **options)
    if token is None:
        raise SessionRefused(verbs.TOO_MANY_SESSIONS)
    stored[data.TOKEN] = token
    cast(SessionGateConfig, apps.get_app_config(LABEL)).hands_over = True


def _close(request: HttpRequest | None = None, **_: Any) -> None:
    """End the session at ``logout()``."""
    current = of_request(request)
    if current is not None:
        session = current.session
        session.run(verbs.logout(session, SessionRefused))
        return
    stored = getattr(request, "session", None)
    if stored is None:
        return
    manager, owner = configured().manager, data.owner_of(stored)
    if owner is not None:
        manager.invalidate_user_session(owner[1], owner[0])
    elif data.TOKEN in stored:
        manager.invalidate_session(stored[data.TOKEN])


# Sessions of users who changed. The apps beside Django do not look at its users.


def _remember(
    instance: Any = None,
    *,
    raw: bool = False,
    using: str | None = None,
    update_fields: Iterable[str] | None = None,
    **_: Any,
) -> None:
    """Look at a user before it is saved, if what its sessions rest upon may change."""
    if raw or not isinstance(instance, get_user_model()) or instance.pk is None:
        return
    configuration = configured()
    watched = {configuration.user_field.name, "is_active", "password"}
    if update_fields is not None and not watched & set(update_fields):
        return
    manager = type(instance)._base_manager.using(using)  # noqa: SLF001 - all users, hidden or not
    former = manager.filter(pk=instance.pk).first()
    if former is not None:
        setattr(instance, _FORMER, (configuration.username_of(former), _standing(former)))


def _end_if_changed(instance: Any = None, *, using: str | None = None, **_: Any) -> None:
    """End the sessions of a user who was renamed or deactivated, or has a new password."""
    fields = cast("dict[str, Any]", vars(instance))
    former = fields.pop(_FORMER, None)
    if former is None:
        return
    username, (was_active, password) = former
    is_active, new_password = _standing(instance)
    is_renamed = configured().username_of(instance) != username
    if is_renamed or (was_active and not is_active) or password != new_password:
        kept: list[str | None] = fields.setdefault(_KEPT, [])
        kept.clear()
        _end_all(username, using, kept, is_free=is_renamed)


def _end_deleted(instance: Any = None, *, using: str | None = None, **_: Any) -> None:
    if isinstance(instance, get_user_model()):
        _end_all(configured().username_of(instance), using, is_free=True)


def _end_all(
    username: str, using: str | None, kept: Sequence[str | None] = (), *, is_free: bool
) -> None:
    """End all sessions of a user once the transaction stands; at once without one.

    API tokens too where the username ``is_free``, for somebody else may take it.
    """
    configuration = configured()
    api_tokens = configuration.options.get("api_tokens")

    def end() -> None:
        keep = kept[-1] if kept else None
        configuration.manager.invalidate_user_sessions(username, keep=keep)
        if is_free and api_tokens is not None:
            api_tokens.revoke_all(username)

    transaction.on_commit(end, using=using)


def _standing(user: Any) -> tuple[Any, Any]:
    return getattr(user, "is_active", True), getattr(user, "password", None)


def _key_of(user: Any) -> str | None:
    with suppress(AttributeError, FieldDoesNotExist):
        return str(user._meta.pk.value_to_string(user))  # noqa: SLF001 - as Django's login does
    return None
