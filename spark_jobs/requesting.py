"""Rows of a step, the LLM request that each needs, and its answer beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from l2a.llm.request import ChatRequest
from l2a.settings.llm import LLMSettings
from l2a.tables.contracts import LLM_CALLS
from l2a.tables.warehouse import Warehouse
from spark_jobs.calls import Paid, answer
from spark_jobs.judging import Batches

Make = Callable[[Mapping[str, Any]], ChatRequest]
"""The request that a row needs."""


def with_requests(rows: DataFrame, key: list[str], make: Make) -> DataFrame:
    """Key (it holds session_id), request_id, request, and turn and sample, 0 where the key has none."""
    added = [name for name in ("turn", "sample") if name not in key]

    def run(batches: Batches) -> Batches:
        for batch in batches:
            made = [make(row) for row in batch.to_pylist()]
            table = pa.Table.from_batches([batch]).select(key)
            table = table.append_column("request_id", pa.array([request.request_id for request in made], pa.string()))
            table = table.append_column("request", pa.array([request.to_json() for request in made], pa.string()))
            for name in added:
                table = table.append_column(name, pa.array([0] * len(made), pa.int32()))
            yield from table.to_batches()

    types = [f"`{name}` {rows.schema[name].dataType.simpleString()}" for name in key]
    schema = ", ".join([*types, "request_id string", "request string", *(f"{name} int" for name in added)])
    spread = rows.repartition(rows.sparkSession.sparkContext.defaultParallelism)
    return spread.mapInArrow(run, schema)


@contextmanager
def answered(
    warehouse: Warehouse, rows: DataFrame, key: list[str], make: Make, settings: LLMSettings
) -> Iterator[tuple[DataFrame, Paid]]:
    """Asks what the rows need; key, request_id, text, parsed, call_error of each, and what it took.

    call_error is null for answered rows. The frame is to be read inside the block. Raises JobStopped.
    """
    requests = with_requests(rows, key, make).persist(StorageLevel.DISK_ONLY)
    try:
        paid = answer(warehouse, requests, settings)
        failed = F.when(F.col("status") == "failed", F.concat_ws(": ", "error_class", "error"))
        calls = warehouse.read(LLM_CALLS).select("request_id", "text", "parsed", failed.alias("call_error"))
        yield requests.select(*key, "request_id").join(calls, "request_id"), paid
    finally:
        requests.unpersist()
