"""One user by one field: the query of each request, whose text need not be worked out each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.db import connections
from django.db.models.manager import BaseManager

if TYPE_CHECKING:
    from django.db.models import Field


def look_up(field: Field[Any, Any], value: Any, backend: Any) -> Any:
    """The user with this value, if the backend lets it in; ``None``: there is none.

    A backend with a ``get_user`` of its own is asked by primary key, as Django does.
    """
    is_plain = isinstance(backend, ModelBackend)
    if is_plain and type(backend).get_user is ModelBackend.get_user:
        user = _find(field, value)
        return user if user is not None and backend.user_can_authenticate(user) else None
    if field.primary_key:
        return backend.get_user(value)
    user = _find(field, value)
    return None if user is None else backend.get_user(user.pk)


def _find(field: Field[Any, Any], value: Any) -> Any:
    model: Any = get_user_model()
    manager, meta = model._default_manager, model._meta  # noqa: SLF001 - Django's public API
    kind, plain = cast("Any", type(manager)), cast("Any", BaseManager)
    if meta.parents or kind.get_queryset is not plain.get_queryset:
        # Who has a manager of their own may hide users from some requests.
        return manager.filter(**{field.attname: value}).first()
    # Half of what `get()` costs: most of that is to work out this text.
    connection = connections[manager.db]
    quote = connection.ops.quote_name
    columns = ", ".join([quote(one.column) for one in meta.concrete_fields])
    column = quote(cast("str", field.column))
    sql = f"SELECT {columns} FROM {quote(meta.db_table)} WHERE {column} = %s"  # noqa: S608 - names of the model
    return next(iter(manager.raw(sql, [field.get_db_prep_value(value, connection)])), None)
