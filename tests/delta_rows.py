"""Literal rows into Delta tables by their contracts, without Spark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from l2a.tables.contracts import BY_NAME, MESSAGES

UTC = pa.timestamp("us", tz="UTC")
TYPES = {
    "string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_(),
    "timestamp": UTC, "date": pa.date32(), "array<string>": pa.list_(pa.string()),
    "map<string,string>": pa.map_(pa.string(), pa.string()),
    MESSAGES: pa.list_(pa.struct([("role", pa.string()), ("content", pa.string()), ("ts", UTC), ("seq", pa.int64())])),
}  # fmt: skip


def write(warehouse: Path, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Appends the rows; a column that a row does not have is null."""
    schema = pa.schema([(column.name, TYPES[column.type]) for column in BY_NAME[table].columns])
    write_deltalake(warehouse / table, pa.Table.from_pylist([dict(row) for row in rows], schema=schema), mode="append")
