"""Events that wait in quarantine, because nobody had answered the expert when they came.

When a later file brings a user's message of their session, they are taken in, as if that file had come first.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from l2a.ingest import files, parse
from l2a.ingest.events import COLUMNS
from l2a.mapping import Mapping
from l2a.settings import IngestSettings
from l2a.tables.contracts import QUARANTINE
from l2a.tables.warehouse import Warehouse

_WAITS = f"reason = '{parse.NO_USER_MESSAGE}'"


def waiting(
    warehouse: Warehouse, mapping: Mapping, limits: IngestSettings, sessions: DataFrame, read_now: list[str]
) -> DataFrame | None:
    """The waiting events of these sessions: the columns of an event, and `position`. None: no line waits at all.

    read_now: files whose lines this run reads anyway. A line that was cut when it was quarantined, or that another
    mapping reads, is no event any more and stays where it is.
    """
    spark = warehouse.spark
    rows = warehouse.read(QUARANTINE).where(_WAITS)
    rows = rows.join(F.broadcast(spark.createDataFrame([(path,) for path in read_now], "source string")), "source",
                     "left_anti")  # fmt: skip
    if rows.isEmpty():
        return None
    # The session alone is cheap to read, and most lines wait for sessions that nobody speaks of.
    session, _ = parse.session(F.try_parse_json("raw"), mapping)
    asked = sessions.select("session_id").distinct()
    rows = rows.withColumn("session_id", session).join(asked, "session_id", "left_semi")
    lines = rows.select(
        "source",
        F.lit(0).cast("bigint").alias("block"),
        F.col("position").alias("place"),
        F.col("raw").alias("value"),
        F.lit(None).cast("variant").alias("row"),
    )
    parsed = parse.parse(lines, mapping, limits.max_message_bytes, limits.max_line_bytes).where("reason IS NULL")
    return parsed.withColumn("landed", files.landed()).select(*COLUMNS, F.col("place").alias("position"))


def clear(warehouse: Warehouse, candidates: DataFrame) -> None:
    """Takes those waiting lines out of quarantine that have become part of a dialogue."""
    places = candidates.select(F.explode("waited").alias("at")).select("at.source", "at.position")
    if not places.isEmpty():
        none = warehouse.read(QUARANTINE).where("false")
        warehouse.replace(QUARANTINE, none, scope=places, within=_WAITS, unique=True)
