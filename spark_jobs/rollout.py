"""A condition's answers into `rollouts`.

l2a rollout --condition expert
l2a rollout --condition random --samples 5 --split eval
l2a rollout --condition base --endpoint http://127.0.0.1:8000/v1 --model policy --model-version 3 [--greedy]
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from l2a import policy
from l2a.dialogue.utterance_columns import action_column, decision_column
from l2a.errors import UsageError
from l2a.llm.settings import LLMSettings
from l2a.options import Command, common
from l2a.settings import EvaluateSettings
from l2a.tables.contracts import DIALOGUES, ROLLOUTS, TURNS
from l2a.tables.warehouse import Warehouse, sql_text
from spark_jobs.calls import Paid, retryable
from spark_jobs.command import all_again as all_again_option
from spark_jobs.command import llm_given, llm_options, start
from spark_jobs.command import max_failed_share as max_failed_share_option
from spark_jobs.llm_policy import LLMPolicy, llm_policy, spoken
from spark_jobs.runs import Counts, Since, digest, run_step

SPLITS = ("train", "dev", "eval")
GREEDY = "@greedy"


def rollout(
    warehouse: Warehouse,
    condition: str,
    settings: EvaluateSettings | None = None,
    llm: LLMSettings | None = None,
    *,
    split: str = "eval",
    greedy: bool = False,
    max_failed_share: float = 1.0,
    all_again: bool = False,
) -> Counts | None:
    """The condition's answers for the usable turns of a split; None: nothing changed since the last time.

    A built-in condition needs no model; any other name is a policy behind the endpoints of `llm`. `expert` always has
    one sample: it is what the logs hold. greedy: one sample at temperature 0, as condition `NAME@greedy`.
    Raises `UsageError` for a condition that is not built in and has no endpoint, JobStopped when the endpoints end the
    job.
    """
    settings = settings or EvaluateSettings()
    llm = llm or LLMSettings.model_validate({})
    model = _model(condition, settings, llm, greedy=greedy)
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
        if condition != policy.RANDOM:
            changed = since.changed_sessions(warehouse, TURNS)
            if changed is not None:
                scope = scope.join(changed, "session_id", "left_semi")
                wanted = wanted.join(scope, "session_id", "left_semi")
        with _answers(warehouse, condition, model, wanted, turns, settings.samples) as (answers, paid):
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
        settings=digest(model.address() if model else settings.samples if condition == policy.RANDOM else 1),
        replaces=True,
        failed_before=failed_before if model else None,
        max_failed_share=max_failed_share,
        all_again=all_again,
    )


def _model(condition: str, settings: EvaluateSettings, llm: LLMSettings, *, greedy: bool) -> LLMPolicy | None:
    """Who answers for a condition; None: a built-in one does."""
    if condition in policy.BUILT_IN:
        if greedy:
            raise UsageError(f"--greedy: the built-in condition {condition} draws no tokens")
        return None
    if condition.endswith(GREEDY):
        raise UsageError(f"condition {condition}: give --condition {condition.removesuffix(GREEDY)} --greedy")
    if not llm.endpoints:
        raise UsageError(
            f"condition {condition} is none of the built-in ones ({', '.join(policy.BUILT_IN)}): "
            "give --endpoint URL and --model NAME of the policy"
        )
    return llm_policy(settings, llm, greedy=greedy)


@contextmanager
def _answers(
    warehouse: Warehouse, condition: str, model: LLMPolicy | None, wanted: DataFrame, turns: DataFrame, samples: int
) -> Iterator[tuple[DataFrame, Paid]]:
    """Per turn and sample: session_id, turn, dialogue_version, sample, text, error, model_version, request_id."""
    if model is not None:
        with spoken(warehouse, model, wanted) as found:
            yield found
        return
    if condition == policy.EXPERT:
        answers = policy.expert(wanted)
    else:
        answers = policy.random(wanted, turns.where("split = 'train'"), samples)
    yield answers.withColumn("request_id", F.lit(None).cast("string")), Paid()


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
@click.option("--condition", required=True, metavar="NAME", help="The policy: expert, random, or one with an endpoint.")
@click.option("--samples", type=click.IntRange(1, 1000), help="Rollouts a turn for sampled conditions [default: 5].")
@click.option("--split", type=click.Choice(SPLITS), default="eval", show_default=True, help="Turns of this split.")
@click.option("--greedy", is_flag=True, help="One sample at temperature 0, as condition NAME@greedy.")
@llm_options
@all_again_option
@max_failed_share_option
@common
def command(
    condition: str,
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
    settings, tables = start(
        config, warehouse, max_failed_share=max_failed_share, evaluate={"samples": samples}, llm=llm_given(**llm)
    )
    rollout(
        tables,
        condition,
        settings.evaluate,
        settings.llm,
        split=split,
        greedy=greedy,
        max_failed_share=settings.max_failed_share,
        all_again=all_again,
    )


if __name__ == "__main__":
    command()
