"""Learns the embedded judge from the train split and registers it in `judges`.

l2a fit-judge
"""

from __future__ import annotations

import datetime as dt

import click
from pyspark.sql import functions as F

from l2a.errors import L2AError, UsageError
from l2a.judge import store
from l2a.options import Command, common
from l2a.progress import bar, say
from l2a.settings import JudgeSettings
from l2a.tables.contracts import DIALOGUES, JUDGES
from l2a.tables.warehouse import Warehouse
from spark_jobs.command import start
from spark_jobs.counts import Counts
from spark_jobs.judging import newest_judge, read_of
from spark_jobs.runs import digest, recorded
from spark_jobs.slice import successful


def fit_judge(warehouse: Warehouse, settings: JudgeSettings, *, null_outcome_is_success: bool = True) -> str:
    """Fits a judge unless the newest was fitted on the same dialogues with the same settings; returns its name.

    null_outcome_is_success: whether it learns from dialogues of which the log does not say how they ended, as `slice`.
    """
    from l2a.dialogue.types import Message
    from l2a.judge.embedded import JUDGE_VERSION, FitDialogue, fit, fit_key

    train = warehouse.read(DIALOGUES).where((F.col("split") == "train") & successful(null_outcome_is_success))
    # A sample by hash, without what is not read of long messages: bounded on the driver, and mostly the same dialogues
    # when the logs have grown.
    sample = train.orderBy(F.xxhash64("session_id"), "session_id").limit(settings.max_fit_dialogues)
    dialogues = [
        FitDialogue(
            messages=[Message(m["role"], m["content"]) for m in row["messages"]],
            domain=row["domain"],
            goal=row["goal"],
            session_id=row["session_id"],
        )
        for row in sample.select("session_id", "domain", "goal", read_of("messages")).toLocalIterator()
    ]
    if not dialogues:
        raise UsageError("the embedded judge cannot be fitted: no successful dialogue is in the train split")
    key = fit_key(dialogues, size=settings.size, seed=settings.seed)
    newest = newest_judge(warehouse)
    if newest is not None and newest["fitted_on"] == key and _is_there(warehouse, newest["name"]):
        say(f"fit-judge: {newest['name']} was fitted on these dialogues, nothing to do")
        return str(newest["name"])
    # Killed and run again, it is the same run.
    run_id = digest("fit-judge", key, JUDGE_VERSION, None if newest is None else newest["created_at"])
    name = ""

    def work() -> Counts:
        nonlocal name
        with bar("fit-judge") as line:
            judge = fit(
                dialogues, size=settings.size, seed=settings.seed, progress=lambda what, n, of: line.update(n, of, what)
            )
        store.write(warehouse.spark, warehouse.root, judge)
        name = judge.name
        return Counts(rows_in=len(dialogues), rows_out=1)

    recorded(warehouse, "fit-judge", "", {}, work, run_id=run_id)
    # Last, after the row in `runs`: where a judge is there, nobody fits one, and nobody would leave that row any more.
    row = (name, JUDGE_VERSION, settings.size, len(dialogues), key, dt.datetime.now(dt.UTC))
    fitted = warehouse.spark.createDataFrame([row], warehouse.read_or_empty(JUDGES).schema)
    # One that was fitted before, and is so again after another one, is the newest again.
    warehouse.upsert(JUDGES, fitted, combine={"created_at": "s.created_at"}, unique=True)
    say(f"fit-judge: learnt {name} from {len(dialogues):,} train dialogues")
    return name


def fit_if_none_is(warehouse: Warehouse, settings: JudgeSettings, step: str, *, null_outcome_is_success: bool) -> None:
    """Fits the embedded judge for a step that needs it, where none is fitted yet."""
    if newest_judge(warehouse) is None:
        say(f"{step}: no embedded judge is fitted yet, fitting one on the train split")
        fit_judge(warehouse, settings, null_outcome_is_success=null_outcome_is_success)


def _is_there(warehouse: Warehouse, name: str) -> bool:
    """Whether the judge's files are where its row says; a warehouse that was copied may have come without them."""
    try:
        store.load(store.read(warehouse.spark, warehouse.root, name))
    except L2AError as error:
        say(f"fit-judge: fitting it again: {error}")
        return False
    return True


@click.command(cls=Command)
@click.option("--size", type=click.Choice(["small", "full"]), help="Size of the judge [default: full].")
@common
def command(size: str | None, config: str | None, warehouse: str | None) -> None:
    """Learn the embedded judge from the train split."""
    settings, tables = start(config, warehouse, judge={"size": size})
    click.echo(fit_judge(tables, settings.judge, null_outcome_is_success=settings.ingest.null_outcome_is_success))


if __name__ == "__main__":
    command()
