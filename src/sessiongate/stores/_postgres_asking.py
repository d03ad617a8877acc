"""How one connection is asked: each statement prepared once, then sent as it is.

Beside psycopg's cursors, on what they stand on: a cursor can do more than a
command needs, and takes as long over it as the server over its answer.
"""

from __future__ import annotations

from itertools import count
from struct import error as StructError  # noqa: N812 - it is one
from typing import TYPE_CHECKING, Any, Final

from psycopg import DataError, OperationalError, errors, pq
from psycopg.adapt import Transformer
from psycopg.generators import execute

if TYPE_CHECKING:
    from collections.abc import Generator

    from sessiongate.stores._postgres_dialect import Record, Statement

__all__ = ["Asking"]

_BINARY: Final = pq.Format.BINARY
_DONE: Final = pq.ExecStatus.COMMAND_OK
_ROWS: Final = pq.ExecStatus.TUPLES_OK


class Asking:
    """What a connection has prepared. Waits for nothing itself: that is the caller's."""

    def __init__(self, pgconn: Any) -> None:
        self._pgconn = pgconn
        self._prepared: dict[bytes, tuple[bytes, Any]] = {}
        self._numbers = count()

    def ask(self, statement: Statement) -> Generator[Any, Any, list[Record]]:
        """Carry out a statement: its records. Yields whenever there is something to wait for."""
        prepared = self._prepared.get(statement.sql)
        if prepared is None:
            prepared = yield from self._prepare(statement.sql)
        name, transformer = prepared
        try:
            arguments = transformer.dump_sequence(statement.arguments, ())
        except (OverflowError, StructError) as error:
            msg = "a number is larger than the server's"
            raise DataError(msg) from error
        self._pgconn.send_query_prepared(name, arguments, transformer.formats, _BINARY)
        result = _only((yield from execute(self._pgconn)), _ROWS)
        transformer.set_pgresult(result, set_loaders=False)
        records: list[Record] = transformer.load_rows(0, result.ntuples, tuple)
        transformer.set_pgresult(None, set_loaders=False)  # which may be long
        return records

    def _prepare(self, sql: bytes) -> Generator[Any, Any, tuple[bytes, Any]]:
        """The server itself says which types it takes and gives."""
        name = f"sessiongate_{next(self._numbers)}".encode()
        self._pgconn.send_prepare(name, sql)
        _only((yield from execute(self._pgconn)), _DONE)
        self._pgconn.send_describe_prepared(name)
        types = _only((yield from execute(self._pgconn)), _DONE)
        transformer: Any = Transformer()
        transformer.set_dumper_types([types.param_type(n) for n in range(types.nparams)], _BINARY)
        transformer.set_loader_types([types.ftype(n) for n in range(types.nfields)], _BINARY)
        prepared = self._prepared[sql] = name, transformer
        return prepared


def _only(results: list[Any], wanted: pq.ExecStatus) -> Any:
    """The one result, or the server's error."""
    for result in results:
        if result.status != wanted:
            raise errors.error_from_result(result)
    if not results:
        msg = "the server gave no answer"
        raise OperationalError(msg)
    return results[0]
