"""### The nightly logs

Takes one night, `LANDING/dt=YYYY-MM-DD/` (UTC), each night after its midnight: **ingest** (lines into dialogues, bad
lines into quarantine), **slice** (dialogues into turns), **extract** (usable turns into objectives; the only step that
may ask an LLM), **check** (is the night whole?). A night whose checks are green publishes the asset `turns`.

#### When it is red
- **ingest**: the log of the task says which path or file. `there is nothing to read`: the night has not landed; it is
  tried again for one to two hours, later clear the task. A damaged file: mend it, clear the task.
- **extract**: mostly endpoints that do not answer. Nothing that was answered is paid again: clear the task when they
  are back. `l2a status` shows what waits.
- **check**: says which check failed and what helps. Nothing is lost: good lines are in, the others lie in `quarantine`
  with their reasons (`l2a sql "SELECT * FROM quarantine_reasons"`). Mended lines land with a later night. Once a night
  is understood, mark the task as success: the next night goes on from there anyway.

#### To backfill
`airflow backfill create --dag-id nightly_logs --from-date 2026-11-01 --to-date 2026-11-10T23:59:59` takes ten nights
(the run of a night stands at 02:00 of its day, after the midnight that a bare date means). Nights that have a run
already are left out; `--reprocess-behavior completed` takes them again. In any order, several nights at a time: each
step runs once at a time, versions of a dialogue have an order of their own, and a file that was read before brings
nothing new. One night by hand: trigger with `{"date": "2026-11-21"}`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, CronDataIntervalTimetable, Param, task

from dags.common.defaults import ARGUMENTS, TURNS, settings
from dags.common.steps import step

SETTINGS = settings().nightly
# A run that was triggered without a date has no interval at all.
NIGHT = (
    "{{ params.date or ((data_interval_start | default(none) or dag_run.run_after - macros.timedelta(days=1)) | ds) }}"
)
# Of two runs of one step beside each other, the one that had read less may write last; only the next run mends it.
# And a night goes before the weekly evaluation where both wait for the endpoints.
ONE_AT_A_TIME: dict[str, Any] = {"max_active_tis_per_dag": 1, "priority_weight": 100}

# How many lines and turns may fail is the checks' business: the good ones go on in any case.
ANY_SHARE = ("--max-failed-share", "1")

with DAG(
    dag_id="nightly_logs",
    description="One night of logs into dialogues, turns and objectives, with its checks.",
    schedule=CronDataIntervalTimetable(SETTINGS.schedule, timezone="UTC"),
    start_date=pendulum.from_format(SETTINGS.first_night or "2026-01-01", "YYYY-MM-DD", tz="UTC"),
    catchup=SETTINGS.first_night is not None,
    max_active_runs=4,
    params={"date": Param(None, type=["null", "string"], format="date", description="The night; empty: yesterday.")},
    default_args=ARGUMENTS,
    doc_md=__doc__,
    tags=["l2a"],
):

    @task(outlets=[TURNS], retries=2, execution_timeout=timedelta(hours=1))
    def check(night: str, *, outlet_events: Any = None) -> None:
        """Goes red, without another try, where the night does not add up."""
        from airflow.sdk.exceptions import AirflowFailException

        from l2a.errors import ChecksFailed
        from l2a.nightly.checks import check_night
        from l2a.nightly.command import refuse_failed

        here = settings()
        findings = check_night(here.warehouse, night, here.nightly)
        for found in findings:
            print(f"{'ok' if found.ok else 'FAILED'}: {found.about}: {found.says}")
        try:
            refuse_failed(findings)
        except ChecksFailed as error:
            raise AirflowFailException(f"night {night}: {error}") from None
        outlet_events[TURNS].extra = {"night": night}

    mapping = ("--mapping", SETTINGS.mapping) if SETTINGS.mapping else ()
    ingest = step("ingest", SETTINGS.landing, "--date", NIGHT, *ANY_SHARE, *mapping, **ONE_AT_A_TIME)
    ingest >> step("slice", **ONE_AT_A_TIME) >> step("extract", *ANY_SHARE, **ONE_AT_A_TIME) >> check(NIGHT)
