"""The environment of a process that runs Airflow, and what a DAG run came to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ran:
    """What a DAG run came to."""

    state: str
    tasks: dict[str, str]
    submitted: list[list[str]]
    """The words of each spark-submit, from the step's file on."""
    options: list[list[str]]
    """The words before it, which are spark-submit's own."""
    said: str


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment without this process's own settings of l2a, Airflow and Spark."""
    foreign = ("L2A_", "AIRFLOW", "PYSPARK_", "SPARK_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **inherited,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[1]"}),
        "OMP_NUM_THREADS": "1",
        **more,
    }
