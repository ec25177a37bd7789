"""Making a table that is not there yet: also while another process makes it, and after one was killed while it did.

Delta takes a folder for a table as soon as it has a log folder, and then neither reads nor makes what has no commit. So
a log folder without one is waited for while somebody may be at work in it, and removed when nobody is.
"""

from __future__ import annotations

import contextlib
import functools
from typing import cast

from delta import DeltaTable
from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import types as T
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from l2a.errors import UsageError
from l2a.tables.conflicts import CONFLICTS
from l2a.tables.contract import VERSION_PROPERTY, Contract
from l2a.tables.hadoop import file_system, first_line

# Far longer than a first commit takes.
SECONDS_FOR_ANOTHER = 10
COMMITTED = (".json", ".parquet")


def create(spark: SparkSession, path: str, contract: Contract) -> None:
    """Makes the contract's table at a path, or leaves the one that another process made meanwhile.

    Raises `UsageError` when the place cannot be written, or is no place for a table.
    """
    builder = DeltaTable.createIfNotExists(spark).location(path).comment(contract.grain)
    for column, field in zip(contract.columns, schema(contract).fields, strict=True):
        builder = builder.addColumn(column.name, field.dataType, nullable=column.nullable, comment=column.meaning)
    builder = builder.property(VERSION_PROPERTY, str(contract.version))
    builder = builder.property("delta.enableDeletionVectors", "true")
    if contract.tracks_changes:
        builder = builder.property("delta.enableChangeDataFeed", "true")
    for invariant in contract.invariants:
        # Delta takes a check that says null for broken; ours speak of values that are there.
        builder = builder.property(f"delta.constraints.{invariant.name}", f"coalesce(({invariant.sql}), true)")

    def make() -> None:
        try:
            builder.execute()
        except PySparkException:
            if not DeltaTable.isDeltaTable(spark, path):
                raise

    wait = retry(
        retry=retry_if_exception(_half_made),
        stop=stop_after_delay(SECONDS_FOR_ANOTHER),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    try:
        leftovers = _log_without_commit(spark, path)
        try:
            wait(make)()
        except PySparkException as error:
            if not leftovers or not _half_made(error):
                raise
            _remove(spark, path, leftovers)
            make()
    except (PySparkException, Py4JJavaError) as error:
        raise UsageError(f"cannot create {path}: {first_line(error)}") from error


def contract_version(spark: SparkSession, path: str) -> int | None:
    """The version of its contract that the table at a path was made under; None: l2a did not make it."""
    properties = {row["key"]: row["value"] for row in spark.sql(f"SHOW TBLPROPERTIES delta.`{path}`").collect()}
    said = properties.get(VERSION_PROPERTY, "")
    return int(said) if said.isdecimal() else None


@functools.cache
def schema(contract: Contract) -> T.StructType:
    """The contract's columns as Spark's type."""
    return cast(T.StructType, T.StructType.fromDDL(contract.ddl))


def _half_made(error: BaseException) -> bool:
    signs = ("NON_EMPTY_LOCATION", "DELTA_TABLE_NOT_FOUND")
    return isinstance(error, CONFLICTS) or (
        isinstance(error, PySparkException) and any(sign in str(error) for sign in signs)
    )


def _log_without_commit(spark: SparkSession, path: str) -> list[JavaObject]:
    """What a log folder holds beside commits, and the folder itself last; nothing where there is no such folder."""
    files, log = file_system(spark, f"{path}/_delta_log")
    if not files.exists(log):
        return []
    return [*(status.getPath() for status in files.listStatus(log)), log]


def _remove(spark: SparkSession, path: str, leftovers: list[JavaObject]) -> None:
    """Removes what a killed creation left: temporary files, and folders that are empty. Never a commit."""
    files, _ = file_system(spark, path)
    for left in leftovers:
        if not left.getName().endswith(COMMITTED):
            with contextlib.suppress(Py4JJavaError):  # a folder that is not empty
                files.delete(left, False)
