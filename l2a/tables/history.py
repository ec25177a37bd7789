"""What changed in a table since a version of it, read from its change feed."""

from __future__ import annotations

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from l2a.tables.contract import Contract
from l2a.tables.warehouse import Warehouse


def changed_sessions(warehouse: Warehouse, contract: Contract, since: int) -> DataFrame | None:
    """The sessions of which rows changed after Delta version `since`: one column, session_id, distinct.

    None means "not known, take all": the first time, or when the history needed was cleaned up. The answer is
    held by Spark, and asked for at once: only so is it known that the history is still there.
    """
    version = warehouse.version(contract)
    if since < 0 or since > version:  # a table that was deleted and made again counts from 0
        return None
    if since == version:
        return warehouse.spark.createDataFrame([], "session_id string")
    try:
        changed = _feed(warehouse, contract, since).select("session_id").distinct().persist()
        changed.count()
    except (PySparkException, Py4JJavaError) as error:
        if _is_gone(error):
            return None
        raise
    return changed


def newest_rows(warehouse: Warehouse, contract: Contract, since: int) -> DataFrame:
    """The rows that were written after Delta version `since` and are still there, as they are now.

    It reads what these writes left in the history, not the table. For a `since` after which `changed_sessions` knew of
    some.
    """
    last = Window.partitionBy(*contract.key).orderBy(F.col("_commit_version").desc())
    written = _feed(warehouse, contract, since).where("_change_type <> 'update_preimage'")
    newest = written.withColumn("_place", F.row_number().over(last)).where("_place = 1")
    return newest.where("_change_type <> 'delete'").select(*contract.column_names)


def _feed(warehouse: Warehouse, contract: Contract, since: int) -> DataFrame:
    feed = warehouse.spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", since + 1)
    return feed.load(warehouse.path(contract.name))


def _is_gone(error: Exception) -> bool:
    """Whether a change feed cannot be read because the log or the files of its versions were cleaned up."""
    return any(
        sign in str(error)
        for sign in ("DELTA_VERSION_NOT_FOUND", "DELTA_LOG_FILE_NOT_FOUND", "DELTA_VERSIONS_NOT_CONTIGUOUS",
                     "DELTA_MISSING_CHANGE_DATA", "DELTA_CHANGE_TABLE_FEED_DISABLED", "FILE_NOT_EXIST",
                     "FileNotFoundException", "DELTA_STATE_RECOVER_ERROR", "DELTA_TRUNCATED_TRANSACTION_LOG",
                     "Cannot time travel")
    )  # fmt: skip
