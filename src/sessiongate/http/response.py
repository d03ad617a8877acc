"""What the session adds to a response, edited into its header fields once for both stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, AnyStr, Final, Generic, NamedTuple, TypeAlias

from sessiongate.http.refusals import UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sessiongate.http.settings import MiddlewareSettings

Fields: TypeAlias = list[tuple[str, str]]
"""Names and values."""

_LENGTHS: Final = frozenset(map(len, ("vary", "set-cookie")))
"""Of the names that matter, whatever their case; few others are as long."""


class ResponseChanges(NamedTuple):
    """What the session adds to a response, which is then not to be stored."""

    status: int
    set_cookies: tuple[str, ...] = ()
    token: str | None = None
    """For the response header."""
    extra: tuple[tuple[str, str], ...] = ()
    by_itself: bool = False
    """Whether the middleware renewed the token: what the view says of it counts for more."""


class ResponseFields(Generic[AnyStr]):
    """Edits lists of ``(name, value)``; the lists that come in are left alone.

    ``encode`` makes text what the stack has its fields in: bytes in ASGI, text in WSGI.
    """

    def __init__(self, settings: MiddlewareSettings, encode: Callable[[str], AnyStr]) -> None:
        self._settings = settings
        self._encode: Callable[[str], AnyStr] = encode
        self._vary: tuple[AnyStr, AnyStr] = encode("vary"), encode("Cookie, Authorization")
        self._merged: frozenset[AnyStr] = frozenset({encode("vary"), encode("set-cookie")})

    def apply(
        self, headers: Iterable[tuple[AnyStr, AnyStr]], changes: ResponseChanges | None
    ) -> list[tuple[AnyStr, AnyStr]]:
        """The fields of a view's response with what the session adds.

        At most one ``Set-Cookie`` of our name goes out for a domain and path
        (RFC 6265bis, section 4.1.1); what the view says of ``Vary`` and of CORS is kept.
        """
        fields = list(headers)
        if changes is None:
            for name, _ in fields:
                if len(name) in _LENGTHS and name.lower() in self._merged:
                    break
            else:  # most responses: nothing to merge
                fields.append(self._vary)
                return fields
        text = [(_decode(name), _decode(value)) for name, value in fields]
        if changes is not None:
            text = self._carry(text, changes)
        return self._encoded(_add(self._last_of_ours(text), "vary", "Cookie", "Authorization"))

    def unavailable(self) -> tuple[list[tuple[AnyStr, AnyStr]], bytes]:
        """The fields and the body of the 503 in place of the app's answer."""
        body = UNAVAILABLE.text.encode()
        text: Fields = [(name.lower(), value) for name, value in UNAVAILABLE.headers]
        text.append(("content-type", "text/plain; charset=utf-8"))
        text.append(("content-length", str(len(body))))
        fields = self._encoded(text)
        fields.append(self._vary)
        return fields, body

    def _encoded(self, fields: Fields) -> list[tuple[AnyStr, AnyStr]]:
        return [(self._encode(name), self._encode(value)) for name, value in fields]

    def _carry(self, fields: Fields, changes: ResponseChanges) -> Fields:
        # What is addressed to some caches alone would overrule it there (RFC 9213, section 2.2).
        for_caches = ("cache-control", "surrogate-control")
        fields = [field for field in fields if not field[0].lower().endswith(for_caches)]
        fields.append(("cache-control", "no-store"))
        if changes.by_itself and any(self._is_newer(*field) for field in fields):
            return fields  # a middleware inside has renewed or ended the session since
        if changes.set_cookies:
            fields = [field for field in fields if not self._is_our_cookie(*field)]
            fields += [("set-cookie", value) for value in changes.set_cookies]
        if changes.token is not None:
            header = self._settings.refreshed_token_header
            fields = _set(fields, header.lower(), changes.token)
            fields = _add(fields, "access-control-expose-headers", header)
        for name, value in changes.extra:
            fields = _set(fields, name.lower(), value)
        return fields

    def _is_newer(self, name: str, value: str) -> bool:
        """Whether another middleware over the same sessions wrote this field, and no view."""
        is_genuine = self._settings.manager.operations.is_genuine
        if name.lower() == self._settings.refreshed_token_header.lower():
            return is_genuine(value)
        if not self._is_our_cookie(name, value):
            return False
        token = value.partition(";")[0].partition("=")[2].strip(" \t")
        return is_genuine(token) if token else "max-age=0;" in value.lower()

    def _is_our_cookie(self, name: str, value: str) -> bool:
        ours = self._settings.cookie.name
        return name.lower() == "set-cookie" and value.partition("=")[0].strip(" \t") == ours

    def _last_of_ours(self, fields: Fields) -> Fields:
        """Of our name in one domain and path only the last one: the view wrote it twice."""
        ours = {
            at: _scope(v) for at, (name, v) in enumerate(fields) if self._is_our_cookie(name, v)
        }
        last = {scope: at for at, scope in ours.items()}.values()
        return [field for at, field in enumerate(fields) if at not in ours or at in last]


def _decode(text: bytes | str) -> str:
    return text.decode("latin-1") if isinstance(text, bytes) else text


def _scope(set_cookie: str) -> tuple[str, str]:
    """The attributes ``Domain`` and ``Path``, empty where there are none."""
    pairs = [attribute.partition("=") for attribute in set_cookie.split(";")[1:]]
    found = {name.strip(" \t").lower(): value.strip(" \t") for name, _, value in pairs}
    return found.get("domain", "").lower().removeprefix("."), found.get("path", "")


def _add(fields: Fields, key: str, *members: str) -> Fields:
    """Add members to a list-valued field, each once, in one field; ``Vary: *`` has all."""
    values = ",".join(value for name, value in fields if name.lower() == key)
    known = [member for one in values.split(",") if (member := one.strip(" \t"))]
    lowered = {member.lower() for member in known}
    if key == "vary" and "*" in lowered:
        return fields
    known += [member for member in members if member.lower() not in lowered]
    return _set(fields, key, ", ".join(known))


def _set(fields: Fields, key: str, value: str) -> Fields:
    return [*(field for field in fields if field[0].lower() != key), (key, value)]
