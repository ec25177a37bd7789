"""Metrics with intervals beside a plain GROUP BY of the sums that they are made from, and memory as rollouts grow.

    python -m benchmarks.metric_intervals [--rollouts 1000000] [--replicates 1000]

Both sides read the same Parquet file in one run; each runs twice, and the second counts. Memory is the largest resident
size of the driver (Python and JVM) and of the largest Python worker, for all rollouts and for a tenth of them.
"""

from __future__ import annotations

import argparse
import tempfile

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.watching import Memory, timed
from l2a.metrics.evaluate import evaluate, sums
from l2a.settings import SparkSettings
from spark_jobs import session

CONDITIONS, TURNS, SAMPLES = 4, 5, 5


def grades(spark: SparkSession, rollouts: int) -> DataFrame:
    """Graded rollouts of made-up policies: some decisions wrong, some grades missing; the same in every run."""

    def chance(name: str) -> F.Column:
        return F.pmod(F.xxhash64("id", F.lit(name)), F.lit(1000)) / 1000

    answers = CONDITIONS * TURNS * SAMPLES
    stops = F.col("id") % TURNS == TURNS - 1
    rows = spark.range(rollouts).select(
        F.concat(F.lit("d-"), F.floor(F.col("id") / answers)).alias("session_id"),
        F.concat(F.lit("c-"), F.floor(F.col("id") / (TURNS * SAMPLES)) % CONDITIONS).alias("condition"),
        F.when(stops, "STOP").otherwise("CONTINUE").alias("target"),
        F.when((chance("decision") < 0.15) != stops, "STOP").otherwise("CONTINUE").alias("decision"),
        F.when(chance("failed") > 0.01, F.floor(chance("r_a") * 3) / 2).alias("r_a"),
        F.when(chance("failed") > 0.01, F.lit(1.0)).alias("omega"),
    )
    right = F.col("target") == F.col("decision")
    return rows.withColumns({"r_a": F.when(right, F.col("r_a")), "omega": F.when(right, F.col("omega"))})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=1_000_000)
    parser.add_argument("--replicates", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spark = session.get(SparkSettings(master="local[2]", driver_memory="2g"))
        peaks = [
            measure(spark, f"{folder}/{rollouts}", rollouts, arguments.replicates)
            for rollouts in (arguments.rollouts // 10, arguments.rollouts)
        ]
        (driver, worker), (larger_driver, larger_worker) = peaks
        print(
            f"memory, ten times the rollouts: driver {driver} to {larger_driver} MB, worker {worker} to {larger_worker}"
        )


def measure(spark: SparkSession, path: str, rollouts: int, replicates: int) -> tuple[int, int]:
    """Prints seconds of both sides and their ratio; MB of driver and worker."""
    grades(spark, rollouts).write.parquet(path)
    rows = spark.read.parquet(path)
    dialogues = rows.select("session_id").distinct().count()
    print(f"{rollouts:,} rollouts of {CONDITIONS} conditions on {dialogues:,} dialogues, {replicates} replicates")
    plain, whole = 0.0, 0.0
    with Memory() as seen:
        for name in ("first", "second"):
            with timed(f"GROUP BY condition, {name} time") as taken:
                sums(rows, ["condition"]).collect()
            plain = taken[0]
            with timed(f"metrics with intervals, {name} time") as taken:
                found = evaluate(rows, by=["condition"], replicates=replicates).collect()
            whole = taken[0]
    assert len(found) == CONDITIONS * 7
    print(f"  metrics with intervals / plain GROUP BY {whole / plain:8.2f}", flush=True)
    return seen.driver, seen.worker


if __name__ == "__main__":
    main()
