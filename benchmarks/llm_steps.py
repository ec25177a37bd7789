"""Calls from Spark: the rate against a bare client (P1), a job that is done already (P6), and memory as jobs grow.

    python -m benchmarks.llm_steps [--known 1000000] [--small 10000] [--large 100000]

Both sides of each ratio are measured in one run. P1 counts from the first call that the endpoint serves to the last,
so that Spark's own start and the merge into the table are told apart from the calls. Memory is the largest resident
size of the driver (Python and JVM) and of the largest Python worker.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.llm_throughput import IN_FLIGHT, bare, endpoint
from benchmarks.watching import Memory, timed
from l2a.llm.request import ChatRequest
from l2a.settings import SparkSettings
from l2a.settings.llm import LLMSettings
from l2a.tables.contracts import LLM_CALLS
from l2a.tables.warehouse import Warehouse
from spark_jobs import session
from spark_jobs.calls import answer
from spark_jobs.requesting import with_requests

RATE = 200
HISTORY = "the beginning that turns of a dialogue share " * 80


def request(row: Mapping[str, Any]) -> ChatRequest:
    """A request of about 1,000 tokens."""
    said = [
        {"role": "system", "content": f"{row['session_id']} {HISTORY}"},
        {"role": "user", "content": str(row["turn"])},
    ]
    where = {"session_id": row["session_id"], "turn": row["turn"]}
    return ChatRequest("chaos", "1", said, {"temperature": 0}, **where)


def requests(spark: SparkSession, count: int, salt: str) -> DataFrame:
    """`count` distinct requests in dialogues of ten turns."""
    number = (F.col("id") / 10).cast("bigint")
    rows = spark.range(count).select(
        F.concat(F.lit(f"{salt}-"), number).alias("session_id"), (F.col("id") % 10).cast("int").alias("turn")
    )
    return with_requests(rows, ["session_id", "turn"], request)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--known", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=100_000)
    arguments = parser.parse_args()
    spark = session.get(SparkSettings(master="local[2]", driver_memory="1g"))
    with tempfile.TemporaryDirectory() as folder:
        rate(Warehouse(spark, f"{folder}/rate"), arguments.calls)
        finished(Warehouse(spark, f"{folder}/known"), arguments.known)
        memory(spark, folder, arguments.small, arguments.large)


def settings(url: str, **more: Any) -> LLMSettings:
    """Settings of all parts of this benchmark."""
    given = {"endpoints": (url,), "model": "chaos", "model_version": "1", "max_in_flight": IN_FLIGHT}
    return LLMSettings.model_validate(given | more)


def rate(warehouse: Warehouse, count: int) -> None:
    """P1, through Spark."""
    print(f"P1: endpoint of {RATE} calls/s, {count} calls")
    with endpoint(RATE) as url:
        with timed("bare asyncio client") as one:
            bare(url, count, "bare")
        with timed("a step, with its requests and its merge") as other:
            answer(warehouse, requests(warehouse.spark, count, "step"), settings(url))
        calls = warehouse.read(LLM_CALLS)
        ended = F.unix_micros("created_at")
        first, last = calls.agg(F.min(ended - F.col("latency_ms") * 1000), F.max(ended)).first()
        took = (last - first) / 1e6
        print(f"  {'of it, from the first call to the last':44} {took:8.1f} s")
        print(f"P1 ratio of calls/s: {one[0] / took:.3f} (at least .95); of the whole step: {one[0] / other[0]:.3f}")


def whole(number: int) -> Column:
    """A number as the table's columns hold it."""
    return F.lit(number).cast("bigint")


def finished(warehouse: Warehouse, known: int) -> None:
    """P6: everything is known already."""
    print(f"P6: {known:,} calls in the table")
    spark = warehouse.spark
    with endpoint(RATE) as url:
        few = min(known, 20_000)
        asked = requests(spark, few, "known").select("request_id").persist()
        filler = spark.range(known - few).select(F.md5(F.col("id").cast("string")).alias("request_id"))
        now = F.current_timestamp()
        columns = {
            "model": F.lit("chaos"), "model_version": F.lit("1"), "endpoint": F.lit(url), "status": F.lit("ok"),
            "error_class": F.lit(None).cast("string"), "error": F.lit(None).cast("string"),
            "text": F.repeat(F.col("request_id"), 10), "parsed": F.lit(None).cast("string"),
            "prompt_tokens": whole(1000), "cached_tokens": whole(900), "completion_tokens": whole(20),
            "latency_ms": whole(100), "attempts": whole(1), "last_status": whole(200), "finish_reason": F.lit("stop"),
            "tried_in": F.array(F.lit("made-up")), "created_at": now,
        }  # fmt: skip
        with timed(f"making {known:,} rows"):
            warehouse.append_once(LLM_CALLS, asked.union(filler).withColumns(columns), "known")
        with timed(f"{few:,} requests made and looked up") as took:
            paid = answer(warehouse, requests(spark, few, "known"), settings(url))
        print(f"P6: {paid.asked} calls paid for {paid.rows:,} requests, {took[0]:.1f} s")


def memory(spark: SparkSession, folder: str, small: int, large: int) -> None:
    """Largest resident sizes of a small and a large job, on an endpoint without bounds."""
    print("Memory (MiB)")
    found = []
    for count in (small, large):
        # No rate: as fast as both sides can.
        with endpoint(1e6, latency=0.0) as url, Memory() as seen, timed(f"{count:,} requests"):
            answer(Warehouse(spark, f"{folder}/memory-{count}"), requests(spark, count, "m"), settings(url))
        found.append((seen.driver, seen.worker))
        print(f"  {count:>9,} requests: driver {seen.driver:,}, largest Python worker {seen.worker:,}")
    (driver, worker), (more_driver, more_worker) = found
    print(f"Memory ratio, large to small: driver {more_driver / driver:.2f}, worker {more_worker / worker:.2f}")


if __name__ == "__main__":
    main()
