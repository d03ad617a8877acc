"""Measure what users pay for a request: ``make bench``. Never fails on a number.

Starts a Redis, a Redis Cluster, a PostgreSQL and a MariaDB of its own where they are installed.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import warnings
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

import imports
import plots
from backends import apart, mariadb_server, postgres_server, redis_server
from cluster import redis_cluster, url_of
from measure import ROUNDS, interleaved
from promises import REQUESTS, Kept, Measured, judge
from report import Report
from rows import (
    asgi_frameworks,
    device_bound,
    django_apps,
    feed,
    flask_apps,
    hostile,
    other_stores,
    plain_asgi,
    service_tokens,
    verbs,
)
from sessiongate.stores import MemoryStore, PostgresStore, RedisStore, SQLAlchemyStore, SQLiteStore

if TYPE_CHECKING:
    from sessiongate.stores import Store

_PACKAGES: Final = (
    *("sessiongate", "starlette", "fastapi", "litestar", "starsessions", "flask", "flask-login"),
    *("flask-session", "flask-jwt-extended", "django", "pyjwt", "werkzeug", "redis", "psycopg"),
    *("sqlalchemy", "pymysql"),
)

_PATIENCE: Final = 10
"""Seconds; a busy machine may make a server slow, and a refusal would be no measurement."""


async def measure(
    folder: Path,
    redis: str | None,
    cluster: str | None,
    postgres: str | None,
    mariadb: str | None,
    rounds: int,
) -> None:
    """Take all measurements in one run, and say what came out."""
    stores: dict[str, Store] = {"SQLite": SQLiteStore(folder / "sessions.db", timeout=_PATIENCE)}
    if redis is not None:
        stores["Redis"] = RedisStore(redis, timeout=_PATIENCE)
    if postgres is not None:
        stores["PostgreSQL"] = PostgresStore(postgres, timeout=_PATIENCE)
    engines = None
    if mariadb is not None:
        awaited = create_async_engine(mariadb.replace("pymysql", "asyncmy"))
        engines = create_engine(mariadb), awaited
        stores["MariaDB"] = SQLAlchemyStore(*engines, timeout=_PATIENCE)
    reads = verbs.bare_reads(folder, stores, postgres)
    plain = await plain_asgi.cases()
    remote = await plain_asgi.over_stores(stores, redis)
    frameworks = [
        asgi_frameworks.starlette_cases(),
        asgi_frameworks.fastapi_cases(),
        await asgi_frameworks.litestar_cases(),
        flask_apps.cases(stores, redis),
        django_apps.cases(folder, stores),
    ]
    on_stores = [
        verbs.verbs("memory", MemoryStore()),
        *([reads[name], *verbs.verbs(name, store)] for name, store in stores.items()),
    ]
    groups = [plain, remote, *frameworks]
    bad, issuing = hostile.cases(), await service_tokens.cases()
    binding = await device_bound.cases()
    for group in [
        *groups,
        *on_stores,
        issuing,
        binding,
        bad,
    ]:  # all together would push each other out of the caches
        await interleaved(group, rounds)
    async with other_stores.cases(folder, cluster, postgres, _PATIENCE) as others:
        for group in others:
            await interleaved(group, rounds)
    near = feed.near_cache(stores)  # from here on, threads listen
    await interleaved(near, rounds)

    report = Report("requests", "make bench", _PACKAGES)
    for group in groups:
        report.cases(f"One request: over the {group[0].name}", group)
    for group in on_stores:
        report.cases(f"Verbs of a manager: {group[0].name.partition(':')[0]}", group)
    for group in others:
        report.cases(f"A check: {group[0].name.partition(':')[0]}", group)
    report.cases("A check with near_cache=", near)
    report.cases("A token for another service", issuing)
    report.cases("Device-bound sessions", binding)
    report.cases("Bad input", bad)
    loading = imports.measure()
    report.table(*imports.table(loading))
    measured = Measured([*groups, *on_stores, *others, issuing, binding, near])
    kept = [*judge(REQUESTS, measured), *imports.promises(loading)]
    worst = max(case.minimum for case in bad)
    kept.append(Kept("bad input, µs at the worst", hostile.LIMIT, worst))
    kept += [*await feed.sockets(), *feed.logouts(stores)]
    report.promises(kept)
    report.save()
    plots.bars("costs-asgi", "What a request costs: ASGI", groups[:5])
    plots.bars("costs-wsgi", "What a request costs: WSGI", groups[5:])
    plots.bars("costs-stores", "What a verb costs on each store", on_stores)
    for store in stores.values():
        await store.aclose()
    if engines is not None:
        engines[0].dispose()
        await engines[1].dispose()


def main() -> None:
    """Read the command line, start the servers, measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--redis", metavar="URL", help="a server to use instead")
    parser.add_argument("--postgres", metavar="URL", help="a server to use instead")
    parser.add_argument("--mariadb", metavar="URL", help="a server to use instead, by PyMySQL")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="more are more exact")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")  # of the rivals' dependencies on each other
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        with apart():
            redis = options.redis or stack.enter_context(redis_server())
            ports = stack.enter_context(redis_cluster())
            cluster = None if ports is None else url_of(ports)
            postgres = options.postgres or stack.enter_context(postgres_server())
            mariadb = options.mariadb or stack.enter_context(mariadb_server())
        asyncio.run(measure(folder, redis, cluster, postgres, mariadb, options.rounds))


if __name__ == "__main__":
    main()
