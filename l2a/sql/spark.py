"""The same names in Spark SQL: every table and every view of sql/ as a temporary view of one session."""

from __future__ import annotations

from delta import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from l2a.places import from_root
from l2a.sql import statement, views
from l2a.tables.contract import Contract, check_version
from l2a.tables.contracts import ALL
from l2a.tables.creation import contract_version


def create_views(spark: SparkSession, warehouse: str) -> list[str]:
    """Makes temporary views, and returns their names: tables first, then views.

    A table that no step has written yet is there without rows; columns that an older l2a did not write are null.
    Views follow the tables: a query sees what is newest when it runs.
    Raises `TableIncompatible` for a table of another l2a that would be misread.
    """
    root = from_root(warehouse)
    for contract in ALL:
        _table(spark, f"{root}/{contract.name}", contract).createOrReplaceTempView(contract.name)
    made = [contract.name for contract in ALL]
    waiting = list(views.files())
    while waiting:
        # A view comes after the views that it reads.
        name = next(n for n in waiting if not statement.names_in(views.duckdb_sql(n)) & (set(waiting) - {n}))
        waiting.remove(name)
        spark.sql(views.spark_sql(name)).createOrReplaceTempView(name)
        made.append(name)
    return made


def _table(spark: SparkSession, path: str, contract: Contract) -> DataFrame:
    if not DeltaTable.isDeltaTable(spark, path):
        return spark.createDataFrame([], contract.ddl.replace(" NOT NULL", ""))
    written_by = contract_version(spark, path)
    if written_by is not None:
        check_version(contract, f"the table {contract.name}", written_by)
    rows = spark.read.format("delta").load(path)
    there = set(rows.columns)
    return rows.select(
        *[F.col(c.name) if c.name in there else F.lit(None).cast(c.type).alias(c.name) for c in contract.columns]
    )
