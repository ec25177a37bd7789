"""Grades of the eval split into `metrics`, with 95 % intervals over dialogues, and by slices; prints the table.

l2a evaluate [--beta 2.0]
"""

from __future__ import annotations

import datetime as dt

import click
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from l2a.errors import UsageError
from l2a.metrics.evaluate import evaluate_sums, sums
from l2a.metrics.slices import EVERYTHING, by_slice, places
from l2a.metrics.table import show
from l2a.options import Command, common
from l2a.settings import EvaluateSettings, JudgeSettings
from l2a.tables.contracts import DIALOGUES, GRADES, METRIC_SLICES, METRICS, OBJECTIVES, ROLLOUTS, TURNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.command import all_again as all_again_option
from spark_jobs.command import start
from spark_jobs.judging import resolve
from spark_jobs.runs import Counts, Since, digest, run_step

INPUTS = (GRADES, OBJECTIVES, TURNS, DIALOGUES)
KEY = ["session_id", "turn", "dialogue_version"]


def evaluate(
    warehouse: Warehouse, judge: JudgeSettings, settings: EvaluateSettings, *, all_again: bool = False
) -> list[Row]:
    """The metrics of all conditions under one extractor and grader: rows of `metrics`, of the newest evaluation.

    Raises `UsageError` where no rollout of a usable eval turn is graded yet.
    """
    warehouse.read(GRADES)
    extractor = resolve(warehouse, judge.extractor, "extractor")
    grader = resolve(warehouse, judge.grader, "grader")
    chosen = {
        "extractor": extractor,
        "grader": grader,
        "beta": settings.beta,
        "replicates": settings.replicates,
        "max_slice_values": settings.max_slice_values,
    }

    def work(since: Since) -> Counts:
        parts = sums(usable_grades(warehouse, extractor, grader), ["condition", "split", "session_id", "turn"])
        parts = parts.persist()
        counted = parts.where("split = 'eval'").agg(
            F.sum("n_rollouts"), F.sum(F.expr("n_rollouts - n + n_continue_right - n_continue_graded"))
        )
        rollouts, ungraded = counted.collect()[0]
        if not rollouts:
            raise UsageError("no rollout of a usable eval turn is graded: is the eval split empty? (see --split)")
        versions = {contract.name: warehouse.version(contract) for contract in INPUTS}
        about = {
            "evaluation_id": F.lit(digest("evaluation", chosen, versions)),
            "extractor": F.lit(extractor),
            "grader": F.lit(grader),
            "beta": F.lit(settings.beta),
            "created_at": F.lit(dt.datetime.now(dt.UTC)),
        }
        placed = _placed(warehouse, parts, settings.max_slice_values)
        made = _write_metrics(warehouse, placed, settings, about, _dropped_share(warehouse, extractor))
        parts.unpersist()
        return Counts(rows_in=rollouts, rows_out=made, rows_failed=ungraded)

    run_step(
        warehouse,
        "evaluate",
        INPUTS,
        work,
        subject=f"{extractor} {grader}" if extractor != grader else extractor,
        settings=digest(chosen),
        all_again=all_again,
    )
    return newest(warehouse, extractor, grader, settings.beta)


def usable_grades(warehouse: Warehouse, extractor: str, grader: str) -> DataFrame:
    """One row per graded rollout of a usable turn, with its split and the columns that the metrics are made of."""
    grades = warehouse.read(GRADES).where((F.col("extractor") == extractor) & (F.col("grader") == grader))
    objectives = warehouse.read(OBJECTIVES).where(F.col("extractor") == extractor)
    objectives = objectives.where("dropped_reason IS NULL").select(*KEY, F.col("decision").alias("target"))
    turns = warehouse.read(TURNS).where("dropped_reason IS NULL").select(*KEY, "split")
    rollouts = warehouse.read(ROLLOUTS).select("condition", *KEY, "sample", "decision")
    return (
        grades.select("condition", *KEY, "sample", "r_a", "r_s", "omega")
        .join(turns, KEY)
        .join(objectives, KEY)
        .join(rollouts, ["condition", *KEY, "sample"])
    )


def _placed(warehouse: Warehouse, parts: DataFrame, most: int) -> DataFrame:
    """The sums with the domain, expert and month of their dialogue, as it is now: all rows stay."""
    dialogues = warehouse.read(DIALOGUES).select("session_id", "domain", "expert", "updated_at", "landed")
    return parts.join(places(dialogues, parts.select("session_id").distinct(), most), "session_id")


def _dropped_share(warehouse: Warehouse, extractor: str) -> float | None:
    """The share of eval turns that are not usable; turns without an objective are among them."""
    objectives = warehouse.read(OBJECTIVES).where(F.col("extractor") == extractor)
    usable = objectives.where("dropped_reason IS NULL AND status = 'ok'").select(*KEY, F.lit(1).alias("usable"))
    turns = warehouse.read(TURNS).where("split = 'eval'").join(usable, KEY, "left")
    share = turns.agg(F.avg(F.expr("CASE WHEN dropped_reason IS NULL AND usable = 1 THEN 0e0 ELSE 1e0 END"))).first()
    return None if share is None else share[0]


def _write_metrics(
    warehouse: Warehouse,
    placed: DataFrame,
    settings: EvaluateSettings,
    about: dict[str, Column],
    dropped_share: float | None,
) -> int:
    """Rows into `metrics` and `metric_slices`, out of one pass; how many."""
    found = evaluate_sums(
        by_slice(placed.where("split = 'eval'")),
        by=["condition", "slice", "slice_value"],
        beta=settings.beta,
        replicates=settings.replicates,
    )
    rows = found.withColumns({**about, "dropped_share": F.lit(dropped_share).cast("double")}).persist()
    everything = F.col("slice") == EVERYTHING
    warehouse.upsert(METRICS, rows.where(everything), unique=True)
    warehouse.upsert(METRIC_SLICES, rows.where(~everything), unique=True)
    made = rows.count()
    rows.unpersist()
    return made


def newest(warehouse: Warehouse, extractor: str, grader: str, beta: float) -> list[Row]:
    """The rows of the newest evaluation with these judges and this beta."""
    same = (F.col("extractor") == extractor) & (F.col("grader") == grader) & (F.col("beta") == beta)
    rows = warehouse.read_or_empty(METRICS).where(same)
    last = rows.orderBy(F.col("created_at").desc(), "evaluation_id").select("evaluation_id").first()
    return [] if last is None else rows.where(F.col("evaluation_id") == last[0]).collect()


@click.command(cls=Command)
@click.option("--beta", type=click.FloatRange(min=0), help="Weight of R_a in TR [default: 2.0].")
@click.option("--extractor", metavar="NAME", help="Objectives of this extractor [default: embedded].")
@click.option("--grader", metavar="NAME", help="Grades of this grader [default: embedded].")
@all_again_option
@common
def command(
    beta: float | None,
    extractor: str | None,
    grader: str | None,
    all_again: bool,
    config: str | None,
    warehouse: str | None,
) -> None:
    """Grades into metrics with intervals; prints the table."""
    settings, tables = start(
        config, warehouse, evaluate={"beta": beta}, judge={"extractor": extractor, "grader": grader}
    )
    rows = evaluate(tables, settings.judge, settings.evaluate, all_again=all_again)
    show((row.asDict() for row in rows), settings.evaluate.warn_share)


if __name__ == "__main__":
    command()
