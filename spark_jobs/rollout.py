"""A condition's answers into `rollouts`.

l2a rollout --condition expert
l2a rollout --condition random --samples 5 --split eval
"""

from __future__ import annotations

import click
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from l2a import policy
from l2a.dialogue.utterance_columns import action_column, decision_column
from l2a.errors import UsageError
from l2a.options import Command, common
from l2a.tables.contracts import DIALOGUES, ROLLOUTS, TURNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.command import all_again as all_again_option
from spark_jobs.command import max_failed_share as max_failed_share_option
from spark_jobs.command import start
from spark_jobs.runs import Counts, Since, digest, run_step

SPLITS = ("train", "dev", "eval")


def rollout(
    warehouse: Warehouse,
    condition: str,
    *,
    samples: int = 5,
    split: str = "eval",
    max_failed_share: float = 1.0,
    all_again: bool = False,
) -> Counts | None:
    """The built-in condition's answers for the usable turns of a split; None: nothing changed since the last time.

    `expert` always has one sample: it is what the logs hold. Raises `UsageError` for a condition that is not built in.
    """
    if condition not in policy.BUILT_IN:
        raise UsageError(f"condition {condition}: the built-in ones are {', '.join(policy.BUILT_IN)}")
    warehouse.read(TURNS)

    def work(since: Since) -> Counts:
        turns = _usable(warehouse)
        wanted = turns.where(F.col("split") == split)
        scope = None
        if condition == policy.EXPERT:
            scope = since.changed_sessions(warehouse, TURNS)
            if scope is not None:
                wanted = wanted.join(scope, "session_id", "left_semi")
            answers = policy.expert(wanted)
        else:
            # Every draw depends on all train questions, so all draws are made again when the logs have grown.
            answers = policy.random(wanted, turns.where("split = 'train'"), samples)
        ok = F.col("error").isNull()
        rows = answers.select(
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
        )
        warehouse.replace(ROLLOUTS, rows, scope=scope, within=_within(warehouse, condition, split))
        counted = rows.agg(F.count("*").alias("all"), F.count("error").alias("failed")).first()
        assert counted is not None
        return Counts(
            rows_in=counted["all"], rows_out=counted["all"] - counted["failed"], rows_failed=counted["failed"]
        )

    return run_step(
        warehouse,
        "rollout",
        (TURNS,),
        work,
        subject=condition,
        settings=digest(samples if condition != policy.EXPERT else 1, split),
        max_failed_share=max_failed_share,
        all_again=all_again,
    )


def _usable(warehouse: Warehouse) -> DataFrame:
    """Usable turns with their dialogue's messages and domain; a dialogue that waits for slicing is left out."""
    dialogues = warehouse.read(DIALOGUES).select("session_id", "dialogue_version", "domain", "messages")
    return warehouse.read(TURNS).where("dropped_reason IS NULL").join(dialogues, ["session_id", "dialogue_version"])


def _within(warehouse: Warehouse, condition: str, split: str) -> str:
    return f"condition = '{condition}'"


@click.command(cls=Command)
@click.option("--condition", required=True, metavar="NAME", help="The policy: expert or random.")
@click.option("--samples", type=click.IntRange(1, 1000), help="Rollouts a turn for sampled conditions [default: 5].")
@click.option("--split", type=click.Choice(SPLITS), default="eval", show_default=True, help="Turns of this split.")
@all_again_option
@max_failed_share_option
@common
def command(
    condition: str,
    samples: int | None,
    split: str,
    all_again: bool,
    max_failed_share: float | None,
    config: str | None,
    warehouse: str | None,
) -> None:
    """A condition's answers into rollouts."""
    settings, tables = start(config, warehouse, max_failed_share=max_failed_share, evaluate={"samples": samples})
    rollout(
        tables,
        condition,
        samples=settings.evaluate.samples,
        split=split,
        max_failed_share=settings.max_failed_share,
        all_again=all_again,
    )


if __name__ == "__main__":
    command()
