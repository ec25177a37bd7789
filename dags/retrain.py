"""### Training again

Started by the asset `turns`, or by hand. **decide** applies the rule of section `[retrain]`: enough new usable turns
since the last training, and not too soon after it; where it says no, the run ends green with all else skipped. Then a
training is **submitted** as a detached job named after its condition (`grpo-20261122`), **awaited** without holding a
worker's slot, and its condition and the condition `champion` (the very version in production; `random` before there is
one) are rolled out, graded and **evaluated** on the same dialogues. **promote** makes it champion if the rule of
promotion allows, and says why if not; only then the asset `model_promoted` is published.

#### When it is red
- **submit**, `is not started: ... is running`: another retraining runs; only one does at a time.
- **await**: the message holds the training's last words; all of them: `l2a job logs CONDITION`. A training that was
  killed starts again by itself from its last checkpoint, a few times. One that failed: mend the cause and clear
  `submit`; it goes on from its last checkpoint.
- **rollout**, **grade**: endpoints, mostly; clear the task when they are back.

#### By hand
Trigger with `{"force": true}` to train whatever the rule says. Marking **await** or the run as failed ends the
training: **end_training** sees to it. There is nothing to backfill: a training reads the tables as they are.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, Param, PokeReturnValue, task

from dags.common.defaults import ARGUMENTS, CONFIG, MODEL_PROMOTED, TURNS, settings
from dags.common.steps import Step, arguments, options

SETTINGS = settings().retrain
SHORT = timedelta(minutes=30)

with DAG(
    dag_id="retrain",
    description="Trains again when the logs have grown enough, and promotes what is better.",
    schedule=[TURNS],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    params={"force": Param(False, type="boolean", description="Train whatever the rule says.")},
    default_args=ARGUMENTS,
    doc_md=__doc__,
    tags=["l2a"],
):

    @task.short_circuit(execution_timeout=SHORT)
    def decide(*, params: Any = None) -> dict[str, Any] | None:
        """What to train, and why; nothing: everything else is skipped."""
        from l2a.nightly.training import plan

        planned, decision = plan(settings(), datetime.now(UTC), force=bool(params["force"]))
        print(decision.why)
        if planned is None:
            return None
        print(f"training {planned.condition} on {planned.versions}; champion: {planned.champion or 'none yet'}")
        return asdict(planned)

    @task(execution_timeout=SHORT)
    def submit(planned: dict[str, Any]) -> None:
        """Starts the training, or finds it where an earlier try has started it."""
        from airflow.sdk.exceptions import AirflowFailException

        from l2a.errors import JobRefused
        from l2a.nightly.training import start

        try:
            status = start(settings(), planned["condition"], CONFIG)
        except JobRefused as error:
            raise AirflowFailException(str(error)) from None
        print(f"{planned['condition']} is {status.state} (start {status.starts}): {status.says}")

    @task.sensor(
        task_id="await",
        mode="reschedule",
        poke_interval=SETTINGS.poll_seconds,
        timeout=SETTINGS.timeout_hours * 3600,
        execution_timeout=SHORT,
    )
    def wait(planned: dict[str, Any]) -> PokeReturnValue:
        """Looks whether the training has ended; one that died is started again."""
        from airflow.sdk.exceptions import AirflowFailException

        from l2a.errors import JobOver
        from l2a.nightly.training import finished

        try:
            done, says = finished(settings(), planned["condition"])
        except JobOver as error:
            raise AirflowFailException(str(error)) from None
        print(says)
        return PokeReturnValue(is_done=done)

    @task(execution_timeout=SHORT)
    def end_training(planned: dict[str, Any]) -> None:
        """Ends a training that nobody waits for any more; one that has ended is left as it is."""
        from l2a.nightly.training import stop

        print(stop(settings(), planned["condition"]))

    @task(execution_timeout=SHORT)
    def compared(planned: dict[str, Any]) -> list[list[str]]:
        """The arguments for the new condition, and for what it is compared with."""
        names = dict.fromkeys((planned["condition"], planned["baseline"]))
        return [arguments("--condition", name) for name in names]

    @task(execution_timeout=SHORT)
    def against(planned: dict[str, Any]) -> list[str]:
        """The arguments of the evaluation: on the dialogues that both answered."""
        return arguments("--baseline", planned["baseline"])

    @task.short_circuit(execution_timeout=timedelta(hours=2))
    def promote(planned: dict[str, Any]) -> bool:
        """Applies the rule of promotion; says why or why not."""
        from l2a.nightly.training import in_production
        from l2a.nightly.training import promote as apply_rule

        decided = apply_rule(settings(), planned["condition"], CONFIG)
        print(f"{planned['condition']}: {decided['outcome']}")
        for reason in decided["reasons"]:
            print(reason)
        return in_production(decided)

    @task(outlets=[MODEL_PROMOTED], execution_timeout=SHORT)
    def announce(planned: dict[str, Any], *, outlet_events: Any = None) -> None:
        """Publishes the asset."""
        outlet_events[MODEL_PROMOTED].extra = {"condition": planned["condition"], "before": planned["champion"]}

    planned = decide()
    submitted = submit(planned)
    waited = wait(planned)
    ended = end_training(planned)
    submitted >> waited >> ended.as_teardown(setups=submitted)
    both, baseline = compared(planned), against(planned)
    waited >> [both, baseline]
    named = {"map_index_template": "{{ task.application_args[1] }}"}
    rollout = Step.partial(task_id="rollout", **options("rollout"), **named).expand(application_args=both)
    grade = Step.partial(task_id="grade", **options("grade"), **named).expand(application_args=both)
    evaluate = Step(task_id="evaluate", application_args=baseline, **options("evaluate"))
    promoted = promote(planned)
    rollout >> grade >> evaluate >> promoted >> announce(planned)
