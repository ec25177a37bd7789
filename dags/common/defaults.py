"""Settings, assets, the pool, and what holds for every task: retries with growing pauses, a time limit, a last word."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import Asset

from dags.common.by_hand import typed
from l2a.settings import Settings, load

TURNS = Asset("turns")
"""New usable turns with their objectives: a night was taken and its checks are green."""
MODEL_PROMOTED = Asset("model_promoted")
"""Another condition is champion."""
LLM_ENDPOINTS = "llm_endpoints"
"""The pool of every task that may ask an LLM: its slots say how many of them do so at the same time."""
CONFIG = os.environ.get("L2A_CONFIG")


def settings() -> Settings:
    """The settings of this machine: `L2A_CONFIG` and `L2A_*`, with a warehouse that is the same in every process."""
    found = load()
    root = found.warehouse
    return found.model_copy(update={"warehouse": root if "://" in root else os.path.abspath(root)})


def where() -> list[str]:
    """The options of every command: the warehouse and the settings file of this machine."""
    return ["--warehouse", settings().warehouse, *(("--config", CONFIG) if CONFIG else ())]


def last_word(context: Any) -> None:
    """Says what is left, what to type, and where the log is: the callback of a task that failed for good."""
    from l2a.nightly.advice import advice

    task, instance = context["task"], context["task_instance"]
    error = context.get("exception")
    step = getattr(task, "step_name", None) or task.task_id
    command = typed(instance.dag_id, task, where())
    mine = settings()
    said = advice(mine.warehouse, mine.judge.grader, step, command, str(error or ""), instance.log_url)
    task.log.error("%s\nDAG %s, run %s, task %s", said, instance.dag_id, instance.run_id, instance.task_id)


ARGUMENTS: dict[str, Any] = {
    "owner": "l2a",
    "retries": 5,
    "retry_delay": timedelta(minutes=2),
    # A factor: at least 2, 4, 8, 16, 32 minutes, at most twice as long, so that an endpoint may be down for an hour.
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(hours=1),
    "execution_timeout": timedelta(hours=12),
    "on_failure_callback": last_word,
}
"""Default arguments of every DAG."""
