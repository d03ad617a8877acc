"""Header fields of a response, edited once for both stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, AnyStr, Final, Generic, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sessiongate.http.authenticator import ResponseChanges
    from sessiongate.http.refusals import Refusal
    from sessiongate.http.settings import MiddlewareSettings

__all__ = ["Field", "ResponseFields"]

Field: TypeAlias = tuple[AnyStr, AnyStr]
"""Name and value: as bytes in ASGI, as text in WSGI."""

_LENGTHS: Final = frozenset(map(len, ("vary", "set-cookie")))
"""Of the names that matter, whatever their case; few others are as long."""


class ResponseFields(Generic[AnyStr]):
    """Edits lists of ``(name, value)``; the lists that come in are left alone.

    Args:
        settings: Those of the middleware.
        encode: Makes ASCII text what the stack has its fields in.
    """

    def __init__(self, settings: MiddlewareSettings, encode: Callable[[str], AnyStr]) -> None:
        self._encode: Callable[[str], AnyStr] = encode
        self._token_name: AnyStr = encode(settings.refreshed_token_header)
        self._ours: AnyStr = encode(settings.cookie.name)
        self._set_cookie: AnyStr = encode("set-cookie")
        self._vary: AnyStr = encode("vary")
        self._credentials: tuple[AnyStr, AnyStr] = encode("Cookie"), encode("Authorization")
        self._our_vary: Field[AnyStr] = self._vary, encode("Cookie, Authorization")
        self._no_store: Field[AnyStr] = encode("cache-control"), encode("no-store")
        self._surrogate: AnyStr = encode("surrogate-control")
        self._exposed: AnyStr = encode("access-control-expose-headers")
        self._comma: AnyStr = encode(",")
        self._semicolon: AnyStr = encode(";")
        self._domain: AnyStr = encode("domain")
        self._path: AnyStr = encode("path")
        self._none: AnyStr = encode("")
        self._equals: AnyStr = encode("=")
        self._blank: AnyStr = encode(" \t")
        self._all: AnyStr = encode("*")

    def apply(
        self, headers: Iterable[Field[AnyStr]], changes: ResponseChanges | None
    ) -> list[Field[AnyStr]]:
        """The fields of a view's response with what the session adds.

        At most one ``Set-Cookie`` of our name goes out for a domain and path
        (RFC 6265bis, section 4.1.1); what the view says of ``Vary`` and of CORS is kept.
        """
        fields = list(headers) if changes is None else self._carry(headers, changes)
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
        self, headers: Iterable[Field[AnyStr]], changes: ResponseChanges
    ) -> list[Field[AnyStr]]:
        # What is addressed to some caches alone would overrule it there (RFC 9213, section 2.2).
        fields = [field for field in headers if not self._is_for_caches(field[0].lower())]
        fields.append(self._no_store)
        if changes.set_cookies:
            fields = [field for field in fields if not self._is_our_cookie(*field)]
            fields += [(self._set_cookie, self._encode(value)) for value in changes.set_cookies]
        if changes.token is not None:
            fields = _set(fields, self._token_name.lower(), self._encode(changes.token))
            fields = self._add(fields, self._exposed, self._token_name)
        for name, value in changes.extra:
            fields = _set(fields, self._encode(name.lower()), self._encode(value))
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
        return self._encode(name.lower()), self._encode(value)

    def _is_for_caches(self, name: AnyStr) -> bool:
        return name.endswith(self._no_store[0]) or name == self._surrogate

    def _is_our_cookie(self, name: AnyStr, value: AnyStr) -> bool:
        if name.lower() != self._set_cookie:
            return False
        return value.partition(self._equals)[0].strip(self._blank) == self._ours

    def _last_of_ours(self, fields: list[Field[AnyStr]]) -> list[Field[AnyStr]]:
        """Of our name in one domain and path only the last one: the view wrote it twice."""
        last = {
            self._scope(field[1]): at
            for at, field in enumerate(fields)
            if self._is_our_cookie(*field)
        }
        kept = frozenset(last.values())
        return [
            field
            for at, field in enumerate(fields)
            if at in kept or not self._is_our_cookie(*field)
        ]

    def _scope(self, set_cookie: AnyStr) -> tuple[AnyStr, AnyStr]:
        """The attributes ``Domain`` and ``Path``, empty where there are none."""
        value: Any = set_cookie.lower()  # checkers lose AnyStr in split
        _, *attributes = value.split(self._semicolon)
        pairs = [one.partition(self._equals) for one in attributes]
        found = {name.strip(self._blank): value.strip(self._blank) for name, _, value in pairs}
        return found.get(self._domain, self._none), found.get(self._path, self._none)

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
        return _set(fields, key, self._encode(", ").join(known))


def _set(fields: Iterable[Field[AnyStr]], key: AnyStr, value: AnyStr) -> list[Field[AnyStr]]:
    others = [field for field in fields if field[0].lower() != key]
    others.append((key, value))
    return others
