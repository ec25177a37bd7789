"""What is said about a statement that cannot run: one sentence that names the nearest table or column."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator

import duckdb

from l2a.errors import TableError, UsageError

_NO_TABLE = re.compile(r"Table with name (.+?) does not exist")
_NO_COLUMN = re.compile(r"(?:Referenced column|does not have a column named|Could not find key) \"(.+?)\"")
_CANDIDATES = re.compile(r"Candidate (?:bindings|Entries): (.+)")
_KIND = re.compile(r"^(?:Binder|Parser|Catalog|Invalid Input) Error: ")


@contextlib.contextmanager
def explained(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Turns DuckDB's errors into `UsageError`s (the statement's fault) and `TableError`s (files gone, memory full)."""
    try:
        yield
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise TableError(f"the tables cannot be read: {sentence(error)}") from error
    except duckdb.Error as error:
        raise UsageError(_explanation(connection, str(error)) or sentence(error)) from error


def sentence(error: Exception) -> str:
    """DuckDB's own words, without its name for the kind of error and the excerpt of the statement that follows."""
    words = str(error).strip().split("\n\nLINE ")[0].split("\nLINE ")[0]
    return _KIND.sub("", " ".join(words.split()))


def _explanation(connection: duckdb.DuckDBPyConnection, message: str) -> str | None:
    if table := _NO_TABLE.search(message):
        known = _names(connection, "SELECT view_name FROM duckdb_views() WHERE NOT internal")
        return f"there is no table or view {table[1]}{_nearest(table[1], known)} (SHOW TABLES lists all)"
    if column := _NO_COLUMN.search(message):
        candidates = _CANDIDATES.search(message)
        if candidates:
            known = [name.strip().strip('"').rpartition(".")[2] for name in candidates[1].split(",")]
        else:
            known = _names(connection, "SELECT DISTINCT column_name FROM duckdb_columns() WHERE NOT internal")
        return f"there is no column {column[1]}{_nearest(column[1], known)}"
    return None


def _names(connection: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    return sorted(row[0] for row in connection.execute(sql).fetchall())


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(set(known))
    near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5) or names[:6]
    return f"; nearest: {', '.join(near)}" if near else ""
