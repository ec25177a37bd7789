"""A step of the pipeline as a task: its file under spark-submit, with the arguments of the command line.

The connection `spark_default` says where Spark is: `local[*]`, a standalone cluster, YARN, Kubernetes.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

from dags.common.defaults import LLM_ENDPOINTS, settings, where
from l2a.launch.tether import end_with_supervisor, follow, tether
from l2a.settings import SparkSettings
from l2a.tables import jars

ASK_LLMS = ("extract", "rollout", "grade")


class Step(SparkSubmitOperator):
    """spark-submit of one step. Should this task or its supervisor be killed, the driver that it started ends too."""

    custom_operator_name = "l2a step"

    def __init__(self, *, step_name: str, **options: Any) -> None:
        super().__init__(**options)
        self.step_name = step_name

    def execute(self, context: Any) -> None:
        # Where this Airflow is itself tied to somebody (`make airflow`), a task ends with it.
        follow()
        end_with_supervisor()
        with tether():
            super().execute(context)


def options(name: str) -> dict[str, Any]:
    """What every task of this step is made with; steps that may ask an LLM share a pool."""
    spark = settings().spark
    return {
        "step_name": name,
        "application": application(name),
        "name": f"l2a {name}",
        "conn_id": "spark_default",
        "conf": configuration(spark),
        "driver_memory": spark.driver_memory,
        **({"pool": LLM_ENDPOINTS} if name in ASK_LLMS else {}),
    }


def arguments(*words: str) -> list[str]:
    """A step's arguments, with the warehouse and the settings file of this machine."""
    return [*words, *where()]


def step(name: str, *words: str, task_id: str | None = None, **more: Any) -> Step:
    """A task that runs the step with these arguments (templates are filled in)."""
    return Step(task_id=task_id or name, application_args=arguments(*words), **options(name), **more)


def application(name: str) -> str:
    """The path of a step's file. It is looked up, not imported: that would bring in Spark."""
    found = importlib.util.find_spec("spark_jobs")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("l2a is not installed beside Airflow: the package spark_jobs is not there")
    return f"{found.submodule_search_locations[0]}/{name}.py"


def configuration(spark: SparkSettings) -> dict[str, str]:
    """Spark's configuration: the settings' own, and where Delta's jars are, unless the cluster brings them.

    The driver finds the secrets in its own settings: a command line is in logs, and every user of a machine sees it.
    """
    try:
        delta = jars.configuration(spark)
    except importlib.metadata.PackageNotFoundError:
        # A scheduler's machine without pyspark: the cluster that it submits to has Delta among its packages.
        delta = {}
    shuffle = {"spark.sql.shuffle.partitions": str(spark.shuffle_partitions)} if spark.shuffle_partitions else {}
    open_ = {name: value for name, value in spark.conf.items() if name not in spark.secrets}
    # A task's log is for what the step says; Spark's own running commentary would bury it.
    return {"spark.log.level": "WARN", **shuffle, **jars.with_own(delta, open_)}
