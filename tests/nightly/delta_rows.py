"""Tables of a few rows, written without Spark in the types of their contracts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from l2a.tables.contracts import BY_NAME

TYPES = {
    "string": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"), "date": pa.date32(),
}  # fmt: skip


def table(warehouse: Path, name: str, *rows: dict[str, Any]) -> None:
    """Makes these rows all that the table holds; columns that no row names are left out."""
    columns = [column for column in BY_NAME[name].columns if any(column.name in row for row in rows)]
    schema = pa.schema([(column.name, TYPES[column.type]) for column in columns])
    made = pa.Table.from_pylist(list(rows), schema=schema)
    write_deltalake(str(warehouse / name), made, mode="overwrite", schema_mode="overwrite")
