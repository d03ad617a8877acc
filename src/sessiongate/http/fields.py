"""The header fields of a request, as the two stacks hand them over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CLIENT_FIELDS: Final = ("HTTP_SEC_FETCH_SITE", "HTTP_ORIGIN", "HTTP_HOST", "HTTP_USER_AGENT")
"""The fields of a WSGI environ that only some requests need."""


def find_in_environ(environ: Mapping[str, Any], name: bytes) -> list[bytes]:
    """The values of a field. Test clients put in what no server would: then ``?``."""
    value = environ.get(f"HTTP_{name.decode().upper().replace('-', '_')}")
    return [] if value is None else [value.encode("latin-1", "replace")]


def path_in_environ(environ: Mapping[str, Any], name: str) -> str:
    """``PATH_INFO`` or ``SCRIPT_NAME``, from the Latin-1 that PEP 3333 has it in."""
    path: str = environ.get(name, "")
    return path.encode("latin-1", "replace").decode(errors="replace")


def find_in_headers(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """The values of a field in the headers of an ASGI scope."""
    return [value for known, value in headers if known == name]
