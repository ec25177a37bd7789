"""A warehouse in DuckDB, read-only: every table and every view of sql/ by its name.

    connection = connect("./warehouse")
    for row in query(connection, "SELECT split, count(*) FROM dialogues GROUP BY split").rows:
        ...

Each table is taken in the snapshot that is newest when it is connected, and stays there. Timestamps are UTC.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from l2a.errors import TableError
from l2a.progress import say
from l2a.sql import delta, problems, statement, storage, views
from l2a.sql.types import literal, quoted
from l2a.tables.contracts import BY_NAME

FETCH_ROWS = 1000
SPARK_FUNCTIONS = (
    "explode(items) AS unnest(items)",
    "size(items) AS len(items)",
    "array_join(items, separator) AS array_to_string(items, separator)",
)
"""What Spark SQL calls otherwise than DuckDB and questions need: so that a query is the same in both."""


@dataclass(frozen=True)
class Result:
    """A query's columns, each with a name of its own, and its rows as they are fetched: each row once."""

    columns: list[str]
    rows: Iterator[tuple[Any, ...]]

    def dicts(self) -> Iterator[dict[str, Any]]:
        """The rows by their columns' names."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)


def connect(
    warehouse: str, only: Collection[str] | None = None, versions: Mapping[str, int] | None = None
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB connection that reads a warehouse and can reach no other file.

    warehouse: a folder, or a URL that delta-rs understands (credentials from the environment).
    only: names of tables and views that are wanted; None: all of them. A name that is not known gives all too, so that
    an error can say what there is.
    versions: tables that are wanted as they were at a Delta version.

    A table that no step has written yet is there without rows, which is said on standard error.
    Raises `UsageError` where there is no such folder, `TableIncompatible` for a table of another l2a that would be
    misread.
    """
    where = storage.find(warehouse)
    connection = duckdb.connect()
    connection.execute(f"SET temp_directory = {literal(os.path.join(tempfile.gettempdir(), f'l2a-sql-{os.getpid()}'))}")
    for function in SPARK_FUNCTIONS:
        connection.execute(f"CREATE MACRO {function}")
    readable = where.allow(connection)
    catalog = _Catalog(connection, where, versions or {})
    wanted = catalog.names if only is None else set(only)
    with problems.explained(connection):
        catalog.define(wanted if wanted <= catalog.names else catalog.names)
    for setting in (
        "TimeZone = 'UTC'",
        "python_enable_replacements = false",
        f"allowed_directories = [{literal(readable)}]",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")
    return connection


def query(connection: duckdb.DuckDBPyConnection, sql: str) -> Result:
    """Runs one reading statement. Rows are handed on as DuckDB makes them: a large result is never held whole.

    Raises `UsageError`, before anything ran, for a statement that does not read or does not fit the tables; while rows
    are fetched for one that fails on the data.
    """
    text = statement.reading(sql)
    with problems.explained(connection):
        rows = connection.execute(_plain_times(connection, text))
        columns = _numbered([column[0] for column in rows.description])
    return Result(columns, _fetch(connection, rows))


def _numbered(names: list[str]) -> list[str]:
    """Names of which none comes twice: a, a_1, a_2. A row as an object would lose all but one of the same name."""
    given = set(names)
    found: list[str] = []
    for name in names:
        numbered = itertools.chain([name], (f"{name}_{n}" for n in itertools.count(1)))
        found.append(next(each for each in numbered if each not in found and (each == name or each not in given)))
    return found


def _fetch(connection: duckdb.DuckDBPyConnection, rows: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while True:
        with problems.explained(connection):
            batch = rows.fetchmany(FETCH_ROWS)
        if not batch:
            return
        yield from batch


def _plain_times(connection: duckdb.DuckDBPyConnection, text: str) -> str:
    """The statement with times of DuckDB's type for instants as plain UTC times: Python gets the former only through
    a package that nothing else here needs."""
    if statement.explained(text) != text:
        return text
    described = connection.execute(f"DESCRIBE {text}").fetchall()
    if not any("WITH TIME ZONE" in row[1] for row in described):
        return text
    inner = [f"c{number}" for number in range(len(described))]
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {delta.INTERNAL}")
    connection.execute(f"CREATE OR REPLACE VIEW {delta.INTERNAL}.result({', '.join(inner)}) AS {text}")
    columns = (
        f"CAST({name} AS {row[1].replace('TIMESTAMP WITH TIME ZONE', 'TIMESTAMP')}) AS {quoted(row[0])}"
        for name, row in zip(inner, described, strict=True)
    )
    return f"SELECT {', '.join(columns)} FROM {delta.INTERNAL}.result"


class _Catalog:
    """What a warehouse has to offer; tables and views are made when they are wanted."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        where: storage.Local | storage.Remote,
        versions: Mapping[str, int],
    ) -> None:
        self._connection = connection
        self._where = where
        self._versions = versions
        self._there = set(where.table_names())
        self._defined: set[str] = set()
        self.names = {*BY_NAME, *self._there, *views.files()}

    def define(self, names: Collection[str]) -> None:
        """Makes the named tables and views, and what the views read."""
        unwritten: list[str] = []
        for name in sorted(names):
            self._define(name, unwritten)
        if unwritten:
            verb = "is" if len(unwritten) == 1 else "are"
            say(f"{', '.join(sorted(unwritten))} {verb} empty: no step has written there yet")

    def _define(self, name: str, unwritten: list[str]) -> None:
        if name in self._defined or name not in self.names:
            return
        self._defined.add(name)
        if name in views.files():
            text = views.duckdb_sql(name)
            for needed in sorted(statement.names_in(text)):
                self._define(needed, unwritten)
        elif name in BY_NAME:
            text = self._contract(name, unwritten)
        else:
            try:
                snapshot = delta.open_table(self._where, name)
                text = delta.select(self._connection, self._where, snapshot, snapshot.types)
            except (TableError, ValueError) as error:  # not a table of ours: the others are still worth reading
                say(f"{name} is left out: {error}")
                return
        self._connection.execute(f"CREATE VIEW {quoted(name)} AS {text}")

    def _contract(self, name: str, unwritten: list[str]) -> str:
        contract = BY_NAME[name]
        types = {column.name: column.type for column in contract.columns}
        if name not in self._there:
            unwritten.append(name)
            return delta.empty(types)
        snapshot = delta.open_table(self._where, name, self._versions.get(name))
        delta.check(snapshot, contract)
        return delta.select(self._connection, self._where, snapshot, types)
