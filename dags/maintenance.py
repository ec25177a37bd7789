"""### Keeping the warehouse fit

Every week: **optimize** (small files into large ones), **vacuum** (files that no table version of the last two weeks
needs), **clean** (answers that dead runs left in the spool, checkpoints and job folders of trainings long over),
**contracts** (keys and invariants of every table, over all rows), **reconcile** (does the whole warehouse add up?).

#### When it is red
- **contracts** or **reconcile**: the log names the table, the promise, and how many rows break it (**reconcile** also
  the command that helps). Something else than l2a has written there, or a bug has: `DESCRIBE HISTORY` says who and
  when.
- **optimize**: a step wrote at the same moment too often; clear it.

#### By hand
`l2a maintain`, or a part of it: `l2a maintain --only vacuum`. There is nothing to backfill.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, CronTriggerTimetable

from dags.common.defaults import ARGUMENTS
from dags.common.steps import step

with DAG(
    dag_id="maintenance",
    description="Compacts, cleans up and checks all tables.",
    schedule=CronTriggerTimetable("0 12 * * 0", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={**ARGUMENTS, "retries": 2},
    doc_md=__doc__,
    tags=["l2a"],
):
    optimize, vacuum, clean, contracts, reconcile = (
        step("maintain", "--only", part, task_id=part)
        for part in ("optimize", "vacuum", "clean", "contracts", "reconcile")
    )
    optimize >> vacuum >> clean
    contracts >> reconcile
