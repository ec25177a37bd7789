"""One warehouse of literal rows for all tests of SQL, and both engines over it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BY_SPARK = ("dialogues", "turns", "runs")
"""With structs in arrays, with a key of several columns, with a map."""
Answer = Callable[[str], tuple[list[str], list[tuple[Any, ...]]]]


@pytest.fixture(scope="session")
def literal_warehouse(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A warehouse under a path that needs quoting everywhere; some tables are Spark's, with deletion vectors."""
    import delta_rows
    import literal

    from l2a.tables.contracts import BY_NAME
    from l2a.tables.warehouse import Warehouse

    root = tmp_path_factory.mktemp("sql") / "o'clock 仓库"
    warehouse = Warehouse(spark, str(root))
    for name, rows in literal.ROWS.items():
        if name in BY_SPARK:
            literal.write_by_spark(warehouse, BY_NAME[name])
        else:
            delta_rows.write(root, name, rows)
    return warehouse.root


@pytest.fixture(scope="session")
def in_spark(spark: SparkSession, literal_warehouse: str) -> Answer:
    """Columns and rows that Spark SQL answers."""
    from l2a.sql.spark import create_views

    # Of its own: views of other warehouses have the same names.
    session = spark.newSession()
    create_views(session, literal_warehouse)

    def answer(sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        frame = session.sql(sql)
        return frame.columns, [tuple(row.asDict(recursive=True).values()) for row in frame.collect()]

    return answer


@pytest.fixture(scope="session")
def in_duckdb(literal_warehouse: str) -> Answer:
    """Columns and rows that DuckDB answers."""
    from l2a.sql.engine import connect, query

    connection = connect(literal_warehouse)

    def answer(sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        result = query(connection, sql)
        return result.columns, list(result.rows)

    return answer
