"""``sessiongate doctor``: looks at a configuration and says what to mend."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
import traceback
import warnings
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import typer
from rich.console import Console
from rich.text import Text

from sessiongate.cli._output import plain, print_json, tell
from sessiongate.cli._store import URL, AsJSON, Timeout, checked
from sessiongate.cli.keys import KeyFiles, read_keys
from sessiongate.core.arguments import check_choice
from sessiongate.core.buckets import new_sid
from sessiongate.core.row import FOREVER, SECOND, Row, record_of
from sessiongate.errors import ConfigurationError, StoreError, WeakKeyWarning
from sessiongate.http.cookies import SessionCookie
from sessiongate.keys.jwt import ALGORITHMS, load_keys
from sessiongate.managers.session import SessionManager
from sessiongate.stores import MemoryStore, open_store
from sessiongate.tokens.opaque import OpaqueCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sessiongate.stores import Store
    from sessiongate.stores.base import Facts

_TO_MEND: Final = 1
_SKEW: Final = 2.0
"""Seconds. Sessions end by the clocks of the apps, and these hardly are all that far off."""
_PROOF: Final = 5.0
"""Seconds in which what was told must have been heard."""
_DEFAULT_LIMIT: Final = 10
_ENDLESS: Final = FOREVER // 2
_NOBODY: Final = "sessiongate doctor"
_COLOURS: Final = {"good": "green", "note": "cyan", "mend": "bold red", "unknown": "yellow"}

_SURVIVES: Final = {
    "nothing": "a restart of the server logs everybody out",
    "snapshots": "a crash of the server takes back what came after the last snapshot: ended "
    "sessions may come back",
}
_APPEND: Final = "set appendonly yes, with appendfsync everysec or always"


class Finding(NamedTuple):
    """One thing that was looked at."""

    verdict: Literal["good", "note", "mend", "unknown"]
    subject: str
    said: str
    remedy: str | None = None


def doctor(
    *,
    store: URL = None,
    secret_key_file: KeyFiles = None,
    algorithm: Annotated[
        str | None, typer.Option(help="The one of a JWT manager; left out: opaque tokens.")
    ] = None,
    manager: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:NAME",
            help="Your manager, or the app that has the middleware. Importing it runs its code.",
        ),
    ] = None,
    timeout: Timeout = 3,
    as_json: AsJSON = False,
) -> None:
    """Look at a configuration, and say what to mend.

    Writes one session of nobody into the store, and removes it. The exit code is 1 if there is
    something to mend.
    """
    wanted = checked(check_choice, algorithm, "algorithm", ALGORITHMS)
    keys = read_keys(secret_key_file)
    if not store and not keys and manager is None:
        msg = (
            "nothing to look at: give --store URL, --secret-key-file FILE or --manager MODULE:NAME"
        )
        raise ConfigurationError(msg)
    findings: list[Finding] = []
    made, app = None, None
    if manager is not None:
        made, app = _load(manager, findings)
        findings += _of_manager(made)
        findings += _of_cookie(app)
    if keys:
        findings.append(_of_keys(keys, wanted))
    if store:
        with closing(open_store(store, create=False, timeout=timeout)) as opened:
            findings += _of_store(opened)
    elif made is not None:
        with closing(made.store) as opened:
            findings += _of_store(opened)
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        _print(findings)
    if any(finding.verdict == "mend" for finding in findings):
        raise typer.Exit(_TO_MEND)


def _print(findings: list[Finding]) -> None:
    is_terminal, console = sys.stdout.isatty(), Console()
    for verdict, subject, said, remedy in findings:
        if is_terminal:
            colour = _COLOURS[verdict]
            console.print(Text(f"{verdict:8}", colour), Text(plain(f"{subject}: {said}")), sep="")
            if remedy:
                console.print(Text(plain(f"{'':8}{remedy}"), "bold"))
        else:
            tell(verdict, subject, said, *([remedy] if remedy else []))


# The store.


def _of_store(store: Store) -> Iterator[Finding]:
    if isinstance(store, MemoryStore):
        yield Finding(
            "note",
            "store",
            "sessions are in the memory of one process, and end with it",
            "for several workers or restarts take SQLiteStore, RedisStore or PostgresStore",
        )
        return
    with asyncio.Runner() as runner:
        try:
            ask = _caller(store, runner)
        except (StoreError, ConfigurationError) as error:
            yield Finding("mend", "store", str(error), "make it answer; the rest was not looked at")
            return
        yield Finding("good", "store", f"{store!r} answers")
        yield _of_writing(store, ask)
    yield _of_feed(store)
    facts = getattr(store, "facts", None)
    try:
        found: list[Facts] = [] if facts is None else list(facts())
    except StoreError as error:
        yield Finding("mend", "engine", str(error), "make all of it answer")
        return
    except ConfigurationError as error:
        yield Finding("unknown", "engine", str(error))
        return
    for node in found:
        yield from _of_node(node)


def _caller(store: Any, runner: asyncio.Runner) -> Callable[..., Any]:
    """Return what calls the verbs of the store, or awaits them where it has to be awaited."""

    def call(verb: str, *arguments: Any) -> Any:
        return getattr(store, verb)(*arguments)

    def wait(verb: str, *arguments: Any) -> Any:
        return runner.run(getattr(store, f"a{verb}")(*arguments))

    sid = secrets.token_urlsafe(16)
    try:
        call("read", sid)
    except ConfigurationError as error:
        try:
            wait("read", sid)
        except ConfigurationError as other:
            said = dict.fromkeys((str(error), str(other)))
            raise ConfigurationError("; awaited: ".join(said)) from None
        return wait
    return call


def _of_writing(store: Any, ask: Callable[..., Any]) -> Finding:
    now = round(time.time() * SECOND)
    row = Row(
        sid=new_sid(_NOBODY, sharded=getattr(store, "sharded", False)),
        username=_NOBODY,
        created_at=now,
        last_accessed=now,
        expires_at=now + SECOND,
        lifetime_ends_at=now + SECOND,
    )
    record = record_of(row, store.codec)
    try:
        ask("commit", _NOBODY, (), record, None, None, now)
        if ask("read", record.sid) != record.data or ask("swap", record, None, now) is not True:
            return Finding("mend", "writing", "what was written is not what is read afterwards")
    except StoreError as error:
        remedy = "give this user the right to write, and the server room for it"
        return Finding("mend", "writing", str(error), remedy)
    return Finding("good", "writing", "a session was opened and ended")


def _of_feed(store: Any) -> Finding:
    if getattr(store, "feed", None) is None:
        return Finding(
            "note",
            "feed",
            "this store does not tell of ended sessions: open websockets learn it "
            "some seconds late, and there is no near_cache",
        )
    try:
        with closing(store.feed()) as feed:
            feed.probe()
            due = time.monotonic() + _PROOF
            while time.monotonic() < due:
                if None in feed.wait(0.1):
                    return Finding("good", "feed", "news of ended sessions comes")
    except ConfigurationError as error:
        return Finding("unknown", "feed", str(error))
    except StoreError as error:
        said = str(error)
    else:
        said = f"no news came in {_PROOF:.0f} seconds"
    remedy = "let this user publish and subscribe; until then websockets end some seconds late"
    return Finding("mend", "feed", said, remedy)


def _of_node(facts: Facts) -> Iterator[Finding]:
    node, drops = facts.get("node"), facts.get("drops")
    where = f" {node}" if node else ""
    version, ahead = facts.get("version"), facts.get("ahead")
    if version is not None:
        yield Finding("good", f"version{where}", version)
    survives = facts.get("survives")
    if survives in _SURVIVES:
        yield Finding("mend", f"persistence{where}", _SURVIVES[survives], _APPEND)
    elif survives is not None:
        words = "all" if survives == "all" else "all but that of the last seconds"
        yield Finding("good", f"persistence{where}", f"what was acknowledged survives: {words}")
    else:
        yield _hidden(f"persistence{where}")
    if drops:
        yield Finding(
            "mend",
            f"eviction{where}",
            f"without memory it drops sessions ({drops}), and lists of a user's sessions: "
            "“log out everywhere” may then miss some",
            "set maxmemory-policy noeviction",
        )
    elif drops is not None:
        yield Finding("good", f"eviction{where}", "no session is dropped for want of memory")
    if ahead is not None:
        words = f"{abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's clock"
        fine = abs(ahead) < _SKEW
        remedy = None if fine else "run NTP on both: sessions end by the clocks of the apps"
        yield Finding("good" if fine else "mend", f"clock{where}", words, remedy)


def _hidden(subject: str) -> Finding:
    return Finding("unknown", subject, "the server does not say", "see its configuration")


# The key, the manager, and the cookie.


def _of_keys(keys: Sequence[bytes | str], algorithm: str | None) -> Finding:
    """Look at all of them: with one that only verifies, tokens can be made as well."""
    try:
        if algorithm is None:
            OpaqueCodec(keys, strict=True)
        else:
            load_keys(keys, algorithm, strict=True)
    except (ConfigurationError, ValueError) as error:
        return Finding("mend", "key", str(error), "sessiongate keygen makes a good one")
    return Finding("good", "key", "long enough")


def _load(path: str, findings: list[Finding]) -> tuple[SessionManager, Any]:
    """Import it; return the manager, and the settings of its middleware if there is one."""
    module, _, name = path.partition(":")
    if not module or not name:
        msg = "--manager must be MODULE:NAME, such as shop.login:manager"
        raise typer.BadParameter(msg)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as a server does
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", WeakKeyWarning)
        try:
            found: Any = getattr(import_module(module), name)
        except (ImportError, AttributeError, ConfigurationError) as error:
            msg = f"--manager: {error}"
            raise ConfigurationError(msg) from None
        except Exception as error:  # noqa: BLE001 - of the app
            # Without its words, which may quote a password.
            *_, place = traceback.extract_tb(error.__traceback__)
            where = f"{type(error).__name__} in {place.filename}, line {place.lineno}"
            msg = f"--manager: {module} cannot be imported: {where}"
            raise ConfigurationError(msg) from None
    weak = [str(one.message) for one in said if issubclass(one.category, WeakKeyWarning)]
    remedy = "sessiongate keygen makes a good one"
    findings += (Finding("mend", "key", text, remedy) for text in dict.fromkeys(weak))
    found = getattr(found, "wsgi_app", found)
    if isinstance(found, SessionManager):
        return found, None
    for added in getattr(found, "user_middleware", ()):  # of Starlette and FastAPI
        if isinstance(added.kwargs.get("manager"), SessionManager):
            return added.kwargs["manager"], added.kwargs.get("cookie") or SessionCookie()
    inner = getattr(found, "_authenticator", None)
    if inner is None:
        msg = f"--manager: {path} is neither a manager nor an app with SessionAuthMiddleware"
        raise ConfigurationError(msg)
    return inner.manager, inner.settings.cookie


def _of_manager(manager: SessionManager) -> Iterator[Finding]:
    if manager.max_concurrent_sessions == _DEFAULT_LIMIT:
        yield Finding(
            "note",
            "limit",
            f"at most {_DEFAULT_LIMIT} sessions of all users together, which is the default",
            "set max_concurrent_sessions to what you want, or to None",
        )
    if manager.operations.policy.lifetime >= _ENDLESS:
        yield Finding(
            "note",
            "lifetime",
            "a session that is used never ends (ASVS 7.3.2 asks for an absolute limit)",
            "set max_lifetime",
        )


def _of_cookie(cookie: SessionCookie | None) -> Iterator[Finding]:
    if cookie is None:
        return
    if not cookie.secure:
        yield Finding(
            "mend", "cookie", "it is sent without TLS as well", "leave for_http() to development"
        )
    elif cookie.domain is not None:
        yield Finding("note", "cookie", f"all hosts below {cookie.domain} get it and may set it")
    elif cookie.same_site == "None":
        yield Finding("note", "cookie", "other sites may have it sent along (SameSite=None)")
    elif not cookie.name.startswith("__Host-"):
        yield Finding("note", "cookie", "other hosts may set it: its name lacks __Host-")
    else:
        yield Finding("good", "cookie", "for this host alone, and over TLS alone")
