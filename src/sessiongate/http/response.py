"""Header fields of a response, edited once for both stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, AnyStr, Final, Generic, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sessiongate.http.authenticator import RequestAuthenticator, ResponseChanges
    from sessiongate.http.refusals import Refusal

__all__ = ["Field", "ResponseFields"]

Field: TypeAlias = tuple[AnyStr, AnyStr]
"""Name and value: as bytes in ASGI, as text in WSGI."""

_LENGTHS: Final = frozenset(map(len, ("vary", "set-cookie")))
"""Of the names that matter, whatever their case; few others are as long."""


class ResponseFields(Generic[AnyStr]):
    """Edits lists of ``(name, value)``; the lists that come in are left alone.

    Args:
        gate: The rules of the middleware.
        spell: Makes ASCII text what the stack has its fields in.
    """

    def __init__(self, gate: RequestAuthenticator, spell: Callable[[str], AnyStr]) -> None:
        self._spell: Callable[[str], AnyStr] = spell
        self._token_name: AnyStr = spell(gate.refreshed_token_header)
        self._ours: AnyStr = spell(gate.cookie.name)
        self._set_cookie: AnyStr = spell("set-cookie")
        self._vary: AnyStr = spell("vary")
        self._credentials: tuple[AnyStr, AnyStr] = spell("Cookie"), spell("Authorization")
        self._our_vary: Field[AnyStr] = self._vary, spell("Cookie, Authorization")
        self._no_store: Field[AnyStr] = spell("cache-control"), spell("no-store")
        self._surrogate: AnyStr = spell("surrogate-control")
        self._exposed: AnyStr = spell("access-control-expose-headers")
        self._comma: AnyStr = spell(",")
        self._equals: AnyStr = spell("=")
        self._blank: AnyStr = spell(" \t")
        self._all: AnyStr = spell("*")

    def apply(
        self, headers: Iterable[Field[AnyStr]], leaving: ResponseChanges | None
    ) -> list[Field[AnyStr]]:
        """The fields of a view's response with what the session adds.

        At most one ``Set-Cookie`` of our name goes out (RFC 6265bis, section
        4.1.1); what the view says of ``Vary`` and of CORS is kept.
        """
        fields = list(headers) if leaving is None else self._carry(headers, leaving)
        varies, ours = False, 0
        for name, value in fields:
            if len(name) in _LENGTHS:
                varies = varies or name.lower() == self._vary
                ours += self._is_our_cookie(name, value)
        if ours > 1:
            fields = self._last_of_ours(fields)
        if varies:
            return self._add(fields, self._vary, *self._credentials)
        fields.append(self._our_vary)
        return fields

    def _carry(
        self, headers: Iterable[Field[AnyStr]], leaving: ResponseChanges
    ) -> list[Field[AnyStr]]:
        # What is addressed to some caches alone would overrule it there (RFC 9213, section 2.2).
        fields = [field for field in headers if not self._is_for_caches(field[0].lower())]
        fields.append(self._no_store)
        if leaving.set_cookie is not None:
            fields = [field for field in fields if not self._is_our_cookie(*field)]
            fields.append((self._set_cookie, self._spell(leaving.set_cookie)))
        if leaving.token is not None:
            fields = _set(fields, self._token_name.lower(), self._spell(leaving.token))
            fields = self._add(fields, self._exposed, self._token_name)
        for name, value in leaving.extra:
            fields = _set(fields, self._spell(name.lower()), self._spell(value))
        return fields

    def refuse(self, refusal: Refusal) -> tuple[list[Field[AnyStr]], bytes]:
        """The fields and the body of a refusal."""
        body = refusal.text.encode()
        fields = [
            self._field("content-type", "text/plain; charset=utf-8"),
            self._field("content-length", str(len(body))),
            self._our_vary,
        ]
        return [self._field(*field) for field in refusal.headers] + fields, body

    def _field(self, name: str, value: str) -> Field[AnyStr]:
        return self._spell(name.lower()), self._spell(value)

    def _is_for_caches(self, name: AnyStr) -> bool:
        return name.endswith(self._no_store[0]) or name == self._surrogate

    def _is_our_cookie(self, name: AnyStr, value: AnyStr) -> bool:
        if name.lower() != self._set_cookie:
            return False
        return value.partition(self._equals)[0].strip(self._blank) == self._ours

    def _last_of_ours(self, fields: list[Field[AnyStr]]) -> list[Field[AnyStr]]:
        """A view that wrote our cookie by itself, more than once: the last one counts."""
        *_, last = (at for at, field in enumerate(fields) if self._is_our_cookie(*field))
        return [
            field
            for at, field in enumerate(fields)
            if at == last or not self._is_our_cookie(*field)
        ]

    def _add(
        self, fields: list[Field[AnyStr]], key: AnyStr, *members: AnyStr
    ) -> list[Field[AnyStr]]:
        """Add members to a list-valued field, each once, in one field; ``Vary: *`` has all."""
        comma: Any = self._comma  # checkers lose AnyStr in split and join
        values = [field[1] for field in fields if field[0].lower() == key]
        members_there = [one.strip(self._blank) for one in comma.join(values).split(comma)]
        known = [member for member in members_there if member]
        lowered = {member.lower() for member in known}
        if key == self._vary and self._all in lowered:
            return fields
        known += [member for member in members if member.lower() not in lowered]
        return _set(fields, key, self._spell(", ").join(known))


def _set(fields: Iterable[Field[AnyStr]], key: AnyStr, value: AnyStr) -> list[Field[AnyStr]]:
    others = [field for field in fields if field[0].lower() != key]
    others.append((key, value))
    return others
