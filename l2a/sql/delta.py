"""A Delta table as a DuckDB query over its Parquet files, in one snapshot.

DuckDB reads the files of the snapshot itself, so that filters and column choices reach them. What the Delta log says on
top is added here: rows that deletion vectors remove, partition values that are not in the files, and columns that a
file written earlier does not have.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np
from deltalake import DeltaTable

from l2a.errors import TableIncompatible
from l2a.sql.types import duckdb_type, literal, quoted, spark_type
from l2a.tables.contract import VERSION_PROPERTY, Contract, check_version

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from l2a.sql.storage import Local, Remote

INTERNAL = "_l2a"
"""Schema of the helper tables that the views of Delta tables read."""


@dataclass(frozen=True)
class Snapshot:
    """A table as it was when it was opened. `types` are Spark DDL types by column, in the table's order."""

    name: str
    types: Mapping[str, str]
    partitions: tuple[str, ...]
    table: DeltaTable


def open_table(storage: Local | Remote, name: str, version: int | None = None) -> Snapshot:
    """The table as it is, or as it was at a version of its.

    Raises `TableIncompatible` for a Delta table that DuckDB cannot be given.
    """
    try:
        table = storage.open(name)
        if version is not None:
            table.load_as_version(version)
        fields = json.loads(table.schema().to_json())["fields"]
    except Exception as error:  # delta-rs raises several unrelated classes for logs that it cannot read
        raise TableIncompatible(f"cannot read the table {name}: {str(error).splitlines()[0]}") from error
    metadata = table.metadata()
    if metadata.configuration.get("delta.columnMapping.mode", "none") != "none":
        raise TableIncompatible(f"the table {name} maps its columns to other names in its files; only Spark reads it")
    types = {field["name"]: spark_type(field["type"]) for field in fields}
    return Snapshot(name, types, tuple(metadata.partition_columns), table)


def check(snapshot: Snapshot, contract: Contract) -> None:
    """Raises `TableIncompatible` for a table that would be misread: another l2a's, or of other types."""
    written_by = snapshot.table.metadata().configuration.get(VERSION_PROPERTY)
    if written_by is not None:
        check_version(contract, f"the table {contract.name}", int(written_by))
    for column in contract.columns:
        there = snapshot.types.get(column.name, column.type)
        if there != column.type:
            raise TableIncompatible(
                f"the table {contract.name} holds {there} in column {column.name}, this l2a reads {column.type}"
            )


def empty(types: Mapping[str, str]) -> str:
    """A query without rows in the given columns."""
    return f"SELECT {_nulls(types)} WHERE false"


def select(
    connection: DuckDBPyConnection, storage: Local | Remote, snapshot: Snapshot, types: Mapping[str, str]
) -> str:
    """The query that reads a snapshot in the given columns and types; helper tables are made where it needs them."""
    actions = _actions(snapshot)
    files = {storage.file(snapshot.name, path): values for path, values in actions.items()}
    if not files:
        return empty(types)
    deleted = _deleted(snapshot, files)
    source = _read([file for file in files if file not in deleted])
    if deleted:
        helper = _table(connection, f"{snapshot.name} deleted", "file VARCHAR, row BIGINT")
        for file, rows in deleted.items():
            connection.execute(f"INSERT INTO {helper} SELECT ?, unnest(?)", [file, rows.tolist()])
        left = _read(list(deleted)) + f" ANTI JOIN {helper} d ON d.file = f.filename AND d.row = f.file_row_number"
        # The columns of all files, so that a column which only one of the halves has is null in the other.
        source = left if len(deleted) == len(files) else f"({source} UNION ALL BY NAME {left})"
    if snapshot.partitions:
        source = _with_partitions(connection, snapshot, files, source)
    there = {row[0].lower() for row in connection.execute(f"DESCRIBE {source}").fetchall()}
    columns = (
        f"CAST({quoted(name) if name.lower() in there else 'NULL'} AS {duckdb_type(kind)}) AS {quoted(name)}"
        for name, kind in types.items()
    )
    return f"SELECT {', '.join(columns)} FROM ({source})"


def _read(files: list[str]) -> str:
    listed = ", ".join(literal(file) for file in files)
    # A folder `name=value` above the table is no column of it.
    options = "union_by_name = true, hive_partitioning = false"
    return f"SELECT f.*, f.filename AS __file FROM read_parquet([{listed}], {options}) f"


def _actions(snapshot: Snapshot) -> dict[str, list[Any]]:
    """The files of a snapshot, by path in the table's folder, each with its partition values."""
    added = snapshot.table.get_add_actions(flatten=True)
    numbers = range(added.num_rows)
    paths = [unquote(str(added["path"][number].as_py())) for number in numbers]  # the log percent-encodes them
    if any("://" in path for path in paths):
        raise TableIncompatible(
            f"the table {snapshot.name} has files outside its folder (a clone); only Spark reads it"
        )
    columns = [added[f"partition.{name}"] for name in snapshot.partitions]
    return {paths[number]: [column[number].as_py() for column in columns] for number in numbers}


def _deleted(snapshot: Snapshot, files: Collection[str]) -> dict[str, np.ndarray]:
    """Per file with a deletion vector: the row numbers (from 0) that it removes."""
    from arro3.core import list_flatten, list_offsets

    by_name = {_base(file): file for file in files}
    found: dict[str, np.ndarray] = {}
    for batch in snapshot.table.deletion_vectors():
        if len(by_name) != len(files):
            raise TableIncompatible(f"the table {snapshot.name} has two files of one name; only Spark reads it")
        kept = np.asarray(list_flatten(batch["selection_vector"]).to_numpy(), dtype=bool)
        ends = list_offsets(batch["selection_vector"]).to_numpy()
        for number in range(batch.num_rows):
            file = by_name[_base(str(batch["filepath"][number].as_py()))]
            found[file] = np.flatnonzero(~kept[ends[number] : ends[number + 1]])
    return found


def _base(path: str) -> str:
    """A data file's own name. delta-rs gives the folders before it now encoded, now not."""
    return unquote(path).rpartition("/")[2]


def _with_partitions(
    connection: DuckDBPyConnection, snapshot: Snapshot, files: Mapping[str, list[Any]], source: str
) -> str:
    """Adds the partition columns: their values stand in the log, by file."""
    columns = ", ".join(f"{quoted(name)} {duckdb_type(snapshot.types[name])}" for name in snapshot.partitions)
    helper = _table(connection, f"{snapshot.name} partitions", f"__file VARCHAR, {columns}")
    rows = [[file, *values] for file, values in files.items()]
    connection.executemany(f"INSERT INTO {helper} VALUES (?{', ?' * len(snapshot.partitions)})", rows)
    return f"SELECT * FROM ({source}) JOIN {helper} USING (__file)"


def _table(connection: DuckDBPyConnection, name: str, columns: str) -> str:
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {INTERNAL}")
    table = f"{INTERNAL}.{quoted(name)}"
    connection.execute(f"CREATE TABLE {table} ({columns})")
    return table


def _nulls(types: Mapping[str, str]) -> str:
    return ", ".join(f"CAST(NULL AS {duckdb_type(kind)}) AS {quoted(name)}" for name, kind in types.items())
