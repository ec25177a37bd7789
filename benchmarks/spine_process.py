"""One process of the spine's benchmark: makes a session, runs parts in it, prints their seconds as one line of JSON.

    python -m benchmarks.spine_process WAREHOUSE session ingest=LOG slice

`seconds(...)` starts such a process with its own cores and Spark settings. What the session takes stands apart.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from l2a.tables.warehouse import Warehouse

DRIVER_MEMORY = "3g"
POINTS = "array<struct<turn:int,is_final:boolean,context_end:int,utterance_messages:int>>"


def seconds(warehouse: Path, *parts: str, tasks: int = 2, cores: int | None = None) -> dict[str, float]:
    """Seconds of each part, by name; of `steps`, by the whole part.

    parts: `ingest=PATH`, `slice`, `steps=PATH` and `steps=LANDING@DATE` (both of them), `read`, `built-in`,
        `udf-roles`, `udf-messages`.
    tasks: how many Spark runs at once (local[tasks]); cores: processor cores that the whole process may use, None: all.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("L2A_")}
    environment |= {"L2A_SPARK__MASTER": f"local[{tasks}]", "L2A_SPARK__DRIVER_MEMORY": DRIVER_MEMORY}
    if cores is not None:
        environment["SPINE_CORES"] = ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))
    command = [sys.executable, "-m", "benchmarks.spine_process", str(warehouse), *parts]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(warehouse: str, parts: list[str]) -> None:
    """Runs the parts in order; SPINE_CORES (comma-separated) pins this process and the JVM that it starts."""
    if pinned := os.environ.get("SPINE_CORES"):
        os.sched_setaffinity(0, {int(core) for core in pinned.split(",")})
    from l2a.tables.warehouse import Warehouse
    from spark_jobs import session

    started, found = time.monotonic(), {}
    from l2a.settings import load

    spark = session.get(load().spark)
    spark.sql("SELECT 1").collect()
    found["session"] = time.monotonic() - started
    tables = Warehouse(spark, warehouse)
    for part in parts:
        name, _, argument = part.partition("=")
        started = time.monotonic()
        PARTS[name](tables, argument)
        found[part if name == "steps" else name] = time.monotonic() - started
    spark.stop()
    print(json.dumps(found))


def _ingest(warehouse: Warehouse, argument: str) -> None:
    from l2a.mapping import load
    from l2a.settings import IngestSettings
    from spark_jobs.ingest import ingest

    path, _, date = argument.partition("@")
    ingest(warehouse, [path], load("native"), IngestSettings(), date=date or None)


def _slice(warehouse: Warehouse, argument: str) -> None:
    from spark_jobs.slice import slice_dialogues

    slice_dialogues(warehouse)


def _steps(warehouse: Warehouse, argument: str) -> None:
    _ingest(warehouse, argument)
    _slice(warehouse, argument)


def _dialogues(warehouse: Warehouse) -> DataFrame:
    from l2a.tables.contracts import DIALOGUES

    return warehouse.read(DIALOGUES).select("session_id", "dialogue_version", "split", "messages")


def _write_nowhere(rows: DataFrame) -> None:
    rows.write.format("noop").mode("overwrite").save()


def _read(warehouse: Warehouse, argument: str) -> None:
    """What both ways of slicing read, without slicing: it also warms the session up."""
    _write_nowhere(_dialogues(warehouse).select("session_id", "dialogue_version", "split", "messages.role"))


def _built_in(warehouse: Warehouse, argument: str) -> None:
    from l2a.dialogue.slicing import with_decision_points

    _write_nowhere(with_decision_points(_dialogues(warehouse)))


def _udf(argument_of_udf: str) -> Callable[[Warehouse, str], None]:
    def run(warehouse: Warehouse, argument: str) -> None:
        from pyspark.sql import functions as F

        from benchmarks.spine_plain import decision_points

        def points(messages: list[str]) -> list[tuple[int, bool, int, int]]:
            roles = messages if argument_of_udf == "messages.role" else [message["role"] for message in messages]
            return decision_points(roles)

        # Row by row, as the name says: Spark 4.2.0 waits forever where its Arrow form stands right above a table's scan
        # (SPARK-58241). And once a row: a deterministic one is called again in a filter that is inferred from `inline`.
        once = F.udf(points, POINTS, useArrow=False).asNondeterministic()
        found = _dialogues(warehouse).withColumn("_points", once(argument_of_udf)).drop("messages")
        _write_nowhere(found.select("*", F.inline("_points")).drop("_points"))

    return run


PARTS: dict[str, Callable[[Warehouse, str], None]] = {
    "ingest": _ingest,
    "slice": _slice,
    "steps": _steps,
    "read": _read,
    "built-in": _built_in,
    "udf-roles": _udf("messages.role"),
    "udf-messages": _udf("messages"),
}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
