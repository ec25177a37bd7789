"""### Measuring all conditions

Every week, and when another condition becomes champion: each condition (the built-in `expert` and `random`, every one
in the registry in its newest version, and `champion`, the very version in production) is **rolled out** and **graded**
by itself, so that one that fails stops no other; then **evaluate** writes metrics of all that are graded, each compared
with `champion`. Over time they are shown by `l2a sql "SELECT * FROM metric_history"`.

#### When it is red
**all_measured** is red if any condition's rollout or grading is: look at the mapped task with its name. The metrics of
the others are there. Clear the failed ones when the cause is mended; nothing that was answered is paid again.

#### By hand
Trigger with `{"conditions": ["grpo-20261122"]}` to measure only these, and `champion` for comparison. There is nothing
to backfill.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, TriggerRule, task, task_group

from dags.common.defaults import ARGUMENTS, MODEL_PROMOTED, settings
from dags.common.steps import Step, arguments, options

with DAG(
    dag_id="evaluate_conditions",
    description="Rolls out, grades and evaluates every condition.",
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("0 6 * * 0", timezone="UTC"), assets=[MODEL_PROMOTED]),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    params={
        "conditions": Param(
            None, type=["null", "array"], items={"type": "string"}, description="Only these and champion; empty: all."
        )
    },
    default_args=ARGUMENTS,
    doc_md=__doc__,
    tags=["l2a"],
):

    @task(execution_timeout=timedelta(minutes=30))
    def conditions(*, params: Any = None) -> list[str]:
        """Which conditions to measure."""
        from l2a.nightly.training import conditions as known

        return known(settings(), params["conditions"] or ())

    @task(execution_timeout=timedelta(minutes=30), trigger_rule=TriggerRule.ALL_DONE)
    def baseline(names: list[str] | None) -> list[str]:
        """The arguments of the evaluation: the champion is what the others are compared with."""
        from l2a.conditions import CHAMPION

        return arguments(*(("--baseline", CHAMPION) if CHAMPION in (names or ()) else ()))

    @task_group
    def measure(condition: str) -> None:
        each = ["--condition", condition, *arguments()]
        rollout = Step(
            task_id="rollout", application_args=each, map_index_template="{{ task.application_args[1] }}",
            **options("rollout"),
        )  # fmt: skip
        grade = Step(
            task_id="grade", application_args=each, map_index_template="{{ task.application_args[1] }}",
            **options("grade"),
        )  # fmt: skip
        rollout >> grade

    names = conditions()
    measured = measure.expand(condition=names)
    compared = baseline(names)
    evaluate = Step(
        task_id="evaluate", application_args=compared, trigger_rule=TriggerRule.ALL_DONE, **options("evaluate")
    )
    measured >> evaluate
    [measured, evaluate] >> EmptyOperator(task_id="all_measured")
