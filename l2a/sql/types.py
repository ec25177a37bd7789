"""Column types in three spellings: the Delta log's JSON, Spark SQL's DDL (which contracts use), and DuckDB's."""

from __future__ import annotations

from typing import Any

_DELTA_TO_SPARK = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}

_SPARK_TO_DUCKDB = {
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "binary": "BLOB",
    "date": "DATE",
    # An instant, shown in UTC. DuckDB's own type for instants reaches Python only with one more package installed.
    "timestamp": "TIMESTAMP",
    "timestamp_ntz": "TIMESTAMP",
}


def spark_type(delta: Any) -> str:
    """The Spark DDL of a type as the Delta log's schema holds it (Delta protocol, "Schema Serialization Format")."""
    if isinstance(delta, str):
        return _DELTA_TO_SPARK.get(delta, delta)
    if delta["type"] == "array":
        return f"array<{spark_type(delta['elementType'])}>"
    if delta["type"] == "map":
        return f"map<{spark_type(delta['keyType'])},{spark_type(delta['valueType'])}>"
    fields = (f"{field['name']}:{spark_type(field['type'])}" for field in delta["fields"])
    return f"struct<{','.join(fields)}>"


def duckdb_type(spark: str) -> str:
    """The DuckDB type that holds what a Spark type holds. Raises `ValueError` for a type that has none."""
    text = spark.strip()
    head, _, inside = text.partition("<")
    if inside:
        parts = _parts(inside.removesuffix(">"))
        if head == "array":
            return f"{duckdb_type(parts[0])}[]"
        if head == "map":
            return f"MAP({duckdb_type(parts[0])}, {duckdb_type(parts[1])})"
        if head == "struct":
            fields = (part.partition(":") for part in parts)
            return f"STRUCT({', '.join(f'{quoted(name.strip())} {duckdb_type(kind)}' for name, _, kind in fields)})"
    if text.startswith("decimal"):
        return text.upper()
    if text in _SPARK_TO_DUCKDB:
        return _SPARK_TO_DUCKDB[text]
    raise ValueError(f"no DuckDB type for {spark}")


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def _parts(text: str) -> list[str]:
    """Splits at the commas that no bracket encloses."""
    parts, depth, start = [], 0, 0
    for position, letter in enumerate(text):
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]
