"""Made-up requests as a Spark frame, for tests and rehearsals of the calls themselves."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llm_asking import SCHEMA

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from l2a.llm.request import ChatRequest

TURNS = 10
"""Requests of one dialogue."""


def made(row: Mapping[str, Any]) -> ChatRequest:
    """The request of a row: short, with a schema."""
    from l2a.llm.request import ChatRequest

    said = [{"role": "user", "content": f"dialogue {row['session_id']}, turn {row['turn']}: 问 🙂"}]
    where = {"session_id": row["session_id"], "turn": row["turn"]}
    return ChatRequest("chaos", "1", said, {"temperature": 0}, response_schema=SCHEMA, **where)


def requests(spark: SparkSession, count: int) -> DataFrame:
    """`count` distinct requests, TURNS a dialogue."""
    from pyspark import cloudpickle
    from pyspark.sql import functions as F

    from spark_jobs.requesting import with_requests

    # Spark's workers know l2a, and nothing of the tests.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    rows = spark.range(count).select(
        F.concat(F.lit("s-"), (F.col("id") / TURNS).cast("bigint")).alias("session_id"),
        (F.col("id") % TURNS).cast("int").alias("turn"),
    )
    return with_requests(rows, ["session_id", "turn"], made)
