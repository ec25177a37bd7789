"""A condition's answers into `rollouts`.

l2a rollout --condition expert
l2a rollout --condition random --samples 5 --split eval
l2a rollout --condition base --condition sft --condition grpo [--greedy]     registered models, in this process
l2a rollout --condition base --endpoint http://127.0.0.1:8000/v1 --model policy --model-version 3 [--greedy]
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import click
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from l2a.conditions import BUILT_IN, GREEDY, RANDOM
from l2a.dialogue.utterance_columns import action_column, decision_column
from l2a.errors import TooManyFailures, UsageError
from l2a.options import Command, common, refuse_llm_options
from l2a.progress import say
from l2a.registry import Registry
from l2a.settings import EvaluateSettings
from l2a.settings.llm import LLMSettings
from l2a.tables.contracts import DIALOGUES, ROLLOUTS, TURNS
from l2a.tables.warehouse import Warehouse, sql_text
from spark_jobs.answering import answerer, answers_of, asked_of, registry_of
from spark_jobs.calls import retryable
from spark_jobs.command import all_again as all_again_option
from spark_jobs.command import llm_given, llm_options, start
from spark_jobs.command import max_failed_share as max_failed_share_option
from spark_jobs.counts import Counts
from spark_jobs.last_run import Since
from spark_jobs.llm_policy import LLMPolicy
from spark_jobs.runs import digest, run_step

SPLITS = ("train", "dev", "eval")


def rollout(
    warehouse: Warehouse,
    condition: str,
    settings: EvaluateSettings | None = None,
    llm: LLMSettings | None = None,
    *,
    registry: Registry | None = None,
    split: str = "eval",
    greedy: bool = False,
    max_failed_share: float = 1.0,
    all_again: bool = False,
) -> Counts | None:
    """The condition's answers for the usable turns of a split; None: nothing changed since the last time.

    A built-in condition needs no model. Any other name is a policy behind the endpoints of `llm`, if it has some; else
    the newest model that `registry` has under that name, asked in process. `expert` always has one sample: it is what
    the logs hold. greedy: one sample at temperature 0, as condition `NAME@greedy`.
    Raises `UsageError` for a condition that nobody answers for, JobStopped when the endpoints end the job.
    """
    settings = settings or EvaluateSettings()
    llm = llm or LLMSettings.model_validate({})
    model = answerer(condition, settings, llm, registry, greedy=greedy)
    name = condition + GREEDY if greedy else condition
    warehouse.read(TURNS)
    mine = f"condition = {sql_text(name)}"

    def failed_before(ended: dt.datetime) -> DataFrame:
        there = warehouse.read(DIALOGUES).where(F.col("split") == split).select("session_id")
        return retryable(warehouse, ROLLOUTS, mine, llm.max_runs, ended).join(there, "session_id", "left_semi")

    def work(since: Since) -> Counts:
        turns = usable(warehouse)
        wanted = turns.where(F.col("split") == split)
        # What other splits hold of this condition is theirs.
        scope = warehouse.read(DIALOGUES).where(F.col("split") == split).select("session_id")
        # Every draw of `random` depends on all train questions, so all are made again when the logs have grown.
        if condition != RANDOM:
            changed = since.changed_sessions(warehouse, TURNS)
            if changed is not None:
                scope = scope.join(changed, "session_id", "left_semi")
                wanted = wanted.join(scope, "session_id", "left_semi")
        with answers_of(warehouse, condition, model, wanted, turns, settings.samples) as (answers, paid):
            rows = _rollouts(answers, name).persist()
            warehouse.replace(ROLLOUTS, rows, scope=scope, within=mine)
            counted = rows.agg(F.count("*").alias("all"), F.count("error").alias("failed")).first()
            rows.unpersist()
        assert counted is not None
        return Counts(
            rows_in=counted["all"],
            rows_out=counted["all"] - counted["failed"],
            rows_failed=counted["failed"],
            **paid.counts(),
        )

    return run_step(
        warehouse,
        "rollout",
        (TURNS,),
        work,
        subject=name if split == "eval" else f"{name} ({split})",
        settings=digest(model.address() if model else settings.samples if condition == RANDOM else 1),
        replaces=True,
        failed_before=failed_before if isinstance(model, LLMPolicy) else None,
        max_failed_share=max_failed_share,
        all_again=all_again,
    )


def _rollouts(answers: DataFrame, condition: str) -> DataFrame:
    """Rows of `rollouts`."""
    ok = F.col("error").isNull()
    return answers.select(
        F.lit(condition).alias("condition"),
        "model_version",
        "session_id",
        "turn",
        "dialogue_version",
        F.col("sample").cast("int").alias("sample"),
        "text",
        F.when(ok, action_column(F.col("text"))).alias("action"),
        F.when(ok, decision_column(F.col("text"))).alias("decision"),
        F.when(ok, "ok").otherwise("failed").alias("status"),
        "error",
        "request_id",
    )


def usable(warehouse: Warehouse) -> DataFrame:
    """Usable turns with their dialogue's messages, goal and domain; a dialogue that waits for slicing is left out."""
    dialogues = warehouse.read(DIALOGUES).select("session_id", "dialogue_version", "domain", "goal", "messages")
    return warehouse.read(TURNS).where("dropped_reason IS NULL").join(dialogues, ["session_id", "dialogue_version"])


@click.command(cls=Command)
@click.option(
    "--condition",
    "conditions",
    required=True,
    multiple=True,
    metavar="NAME",
    help="The policy: expert, random, a registered model, or one with an endpoint; repeatable.",
)
@click.option("--samples", type=click.IntRange(1, 1000), help="Rollouts a turn for sampled conditions [default: 5].")
@click.option("--split", type=click.Choice(SPLITS), default="eval", show_default=True, help="Turns of this split.")
@click.option("--greedy", is_flag=True, help="One sample at temperature 0, as condition NAME@greedy.")
@llm_options
@all_again_option
@max_failed_share_option
@common
def command(
    conditions: tuple[str, ...],
    samples: int | None,
    split: str,
    greedy: bool,
    all_again: bool,
    max_failed_share: float | None,
    config: str | None,
    warehouse: str | None,
    **llm: Any,
) -> None:
    """A condition's answers into rollouts."""
    given = llm_given(**llm)
    settings, tables = start(
        config, warehouse, max_failed_share=max_failed_share, evaluate={"samples": samples}, llm=given
    )
    modelled = [condition for condition in conditions if condition not in BUILT_IN]
    if not modelled:
        refuse_llm_options(given, f"{' and '.join(conditions)} answer without a model")
    asked = {condition: asked_of(condition, settings.llm, given) for condition in conditions}
    if len(modelled) > 1 and (given["model"] or given["model_version"]):
        raise UsageError(
            f"--model and --model-version name one policy, which cannot be {' and '.join(modelled)}: give one "
            "condition, or leave both out where each is served under its own name"
        )
    registry = registry_of(settings, served=any(llm.endpoints for llm in asked.values())) if modelled else None
    too_many: TooManyFailures | None = None
    for condition in dict.fromkeys(conditions):
        try:
            rollout(
                tables,
                condition,
                settings.evaluate,
                asked[condition],
                registry=registry,
                split=split,
                greedy=greedy,
                max_failed_share=settings.max_failed_share,
                all_again=all_again,
            )
        except TooManyFailures as error:  # the other conditions may still be well
            say(str(error))
            too_many = error
    if too_many is not None:
        raise too_many


if __name__ == "__main__":
    command()
