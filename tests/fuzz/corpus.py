"""Hostile cases that every run tries first: written by hand, or found by a machine and mended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["CREDENTIALS", "FIELDS", "OPAQUE", "ORIGINS", "PAYLOADS", "REDIRECTS", "replay"]

F = TypeVar("F", bound="Callable[..., Any]")


def replay(cases: Iterable[Any]) -> Callable[[F], F]:
    """Try each of these before any random one."""

    def decorate(test: F) -> F:
        for case in cases:
            test = example(*case if isinstance(case, tuple) else (case,))(test)
        return test

    return decorate


# Cookie and Authorization fields; TOKEN stands for a genuine one.
CREDENTIALS: list[tuple[list[bytes], list[bytes]]] = [
    ([b"__Host-session=TOKEN"], []),
    ([], [b"Bearer TOKEN"]),
    ([b"__Host-session=TOKEN"], [b"Bearer TOKEN"]),
    ([b"__Host-session=TOKEN", b"__Host-session=x"], []),
    ([b"__Host-session=x; __Host-session=TOKEN"], []),
    ([b"=__Host-session=TOKEN"], []),  # nameless
    ([b"__host-session=TOKEN"], []),
    ([b"__Host-session =TOKEN"], []),
    ([b"\xa0__Host-session=TOKEN"], []),  # blank to some, no blank to a browser
    ([b"\x85__Host-session=TOKEN"], []),
    ([b"%5F%5FHost-session=TOKEN"], []),
    ([b"..Host-session=TOKEN"], []),
    ([b'a="; __Host-session=TOKEN; b="'], []),
    ([b'__Host-session="TOKEN"'], []),
    ([b"a=b, __Host-session=TOKEN"], []),
    ([b"$Version=1; __Host-session=TOKEN; $Path=/"], []),
    ([b"__Host-session=TOKEN\x00"], []),
    ([b"__Host-session=TOKEN\r\n"], []),  # blank to Python, not to a browser
    ([b"__Host-session=\x0bTOKEN"], []),
    ([b"__Host-session=TOKEN,x"], []),
    ([], [b"Bearer TOKEN", b"Bearer TOKEN"]),
    ([], [b"Bearer TOKEN,Basic YTpi"]),
    ([], [b"Basic YTpi, Bearer TOKEN"]),
    ([], [b"Bearer\tTOKEN"]),
    ([], [b"Bearer  TOKEN "]),
    ([], [b"bEARER TOKEN"]),
    ([], [b"Bearer \xa0TOKEN"]),
    ([], [b"Bearer"]),
    ([], [b""]),
    ([b"__Host-session=TOKEN"], [b""]),
    ([b"__Host-session=TOKEN"], [b"Basic YTpi"]),
    ([b"__Host-session=TOKEN"], [b"Bearer x"]),
]

# Sec-Fetch-Site, Origin, Host.
ORIGINS: list[tuple[list[bytes], list[bytes], list[bytes]]] = [
    ([], [], [b"app.example.com"]),
    ([b"same-origin"], [b"https://evil.example"], [b"app.example.com"]),
    ([b"same-site"], [b"https://app.example.com"], [b"app.example.com"]),
    ([b"same-origin", b"cross-site"], [], [b"app.example.com"]),
    ([b""], [], [b"app.example.com"]),
    ([], [b"null"], [b"app.example.com"]),
    ([], [b"null"], [b"null"]),
    ([], [b""], [b""]),
    ([], [b"https://app.example.com"], []),
    ([], [b"https://app.example.com", b"https://evil.example"], [b"app.example.com"]),
    ([], [b"https://app.example.com@evil.example"], [b"evil.example"]),
    ([], [b"https://app.example.com.evil.example"], [b"app.example.com"]),
    ([], [b"https://app.example.com:443"], [b"app.example.com"]),
    ([], [b"https://app.example.com:0443"], [b"app.example.com:443"]),
    ([], [b"https://app.example.com:99999"], [b"app.example.com:99999"]),
    ([], [b"https://app.example.com/"], [b"app.example.com"]),
    ([], [b"https://app.example.com"], [b"app.example.com/x"]),
    ([], [b"https://[::1]:8000"], [b"[::1]:8000"]),
    ([], [b"chrome-extension://abc"], [b"abc"]),
    ([], [b"https://\xe4.example"], [b"\xe4.example"]),
]

# Payloads as text, to be signed with the right key; IAT, EXP, JTI stand for what fits.
PAYLOADS: list[str] = [
    '{"iss":"i","sub":"alice","aud":"a","exp":EXP,"iat":IAT,"jti":JTI}',
    '{"iss":"i","sub":"alice","sub":"bob","aud":"a","exp":EXP,"iat":IAT,"jti":JTI}',
    '{"iss":"i","sub":"bob","\\u0073ub":"alice","aud":"a","exp":EXP,"iat":IAT,"jti":JTI}',
    '{"iss":["i"],"sub":"alice","aud":"a","exp":EXP,"iat":IAT,"jti":JTI}',
    '{"iss":"","sub":"alice","aud":"a","exp":EXP,"iat":IAT,"jti":JTI}',
    '{"iss":"ii","sub":"alice","aud":"a","exp":EXP,"iat":IAT,"jti":JTI}',
    '{"iss":"i","sub":"alice","aud":["a","b"],"exp":EXP,"iat":IAT,"jti":JTI}',
    '{"iss":"i","sub":"alice","aud":"a","exp":"EXP","iat":IAT,"jti":JTI}',
    '{"iss":"i","sub":"alice","aud":"a","exp":1e999,"iat":IAT,"jti":JTI}',
    '{"iss":"i","sub":"alice","aud":"a","exp":NaN,"iat":IAT,"jti":JTI}',
    '{"iss":"i","sub":"alice","aud":"a","exp":true,"iat":false,"jti":JTI}',
    '{"iss":"i","sub":"alice","aud":"a","exp":EXP,"iat":-1,"jti":JTI}',
    '{"iss":"i","sub":"alice","aud":"a","exp":EXP,"iat":IAT,"jti":JTI,"nbf":0}',
    '{"iss":"i","sub":"alice","aud":"a","exp":EXP,"iat":IAT,"jti":JTI} ',
    '\ufeff{"iss":"i","sub":"alice","aud":"a","exp":EXP,"iat":IAT,"jti":JTI}',
    '[{"iss":"i","sub":"alice","aud":"a","exp":EXP,"iat":IAT,"jti":JTI}]',
    '"{}"',
    "null",
    "",
    "[" * 5000,
    '{"a":' * 3000,
    "1" * 5000,
]

# What is done to an opaque token.
OPAQUE: list[str] = [
    "",
    ".",
    "..",
    "sg_",
    "sg_..",
    "sg_a.0.",
    "sg_a.0." + "0" * 32,
    "sg_\ud800.0.x",
    "\u0660" * 10,
    "sg_a.-1." + "f" * 32,
    "sg_a.1e3." + "f" * 32,
    "x" * 10_000,
]

# Fields that a view sends of its own; a bare name stands for an empty value.
FIELDS: list[list[tuple[bytes, bytes]]] = [
    [(b"Set-Cookie", b"__Host-session=theirs"), (b"Set-Cookie", b"__Host-session=theirs")],
    [],
    [(b"Vary", b"*")],
    [(b"vary", b"Accept"), (b"VARY", b"cookie")],
    [(b"vary", b"")],
    [(b"vary", b",,")],
    [(b"vary", b"X-Cookie")],
    [(b"set-cookie", b"__Host-session=theirs")],
    [(b"Set-Cookie", b" __Host-session = theirs; Path=/")],
    [(b"set-cookie", b"__Host-session")],
    [(b"set-cookie", b"a=1"), (b"set-cookie", b"a=1")],
    [(b"x-refreshed-token", b"theirs"), (b"cache-control", b"public")],
    [(b"access-control-expose-headers", b"*")],
]

REDIRECTS: list[str] = [
    "/",
    "//evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "/\u200b/evil.example",
    "/\uff0fevil.example",
    "///evil.example",
    "/%2Fevil.example",
    "/%5Cevil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/;//evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "\x08javascript:alert(1)",
    "http://example.com\\@evil.example",
    "/\ud800",
]
