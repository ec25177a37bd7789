"""Grades of the eval split into `metrics`, with 95 % intervals over dialogues; prints the table.

l2a evaluate [--beta 2.0]
"""

from __future__ import annotations

import datetime as dt

import click
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from l2a.errors import UsageError
from l2a.metrics.evaluate import evaluate as metrics_of
from l2a.metrics.table import show
from l2a.options import Command, common
from l2a.settings import EvaluateSettings, JudgeSettings
from l2a.tables.contracts import GRADES, METRICS, OBJECTIVES, ROLLOUTS, TURNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.command import all_again as all_again_option
from spark_jobs.command import start
from spark_jobs.judging import resolve
from spark_jobs.runs import Counts, Since, digest, run_step


def evaluate(
    warehouse: Warehouse, judge: JudgeSettings, settings: EvaluateSettings, *, all_again: bool = False
) -> list[Row]:
    """The metrics of all conditions under one extractor and grader: rows of `metrics`, of the newest evaluation.

    Raises `UsageError` where no rollout of a usable eval turn is graded yet.
    """
    warehouse.read(GRADES)
    extractor = resolve(warehouse, judge.extractor, "extractor")
    grader = resolve(warehouse, judge.grader, "grader")
    chosen = {"extractor": extractor, "grader": grader, "beta": settings.beta, "replicates": settings.replicates}

    def work(since: Since) -> Counts:
        grades = eval_grades(warehouse, extractor, grader).persist()
        rollouts = grades.count()
        if rollouts == 0:
            raise UsageError("no rollout of a usable eval turn is graded: is the eval split empty? (see --split)")
        versions = {contract.name: warehouse.version(contract) for contract in (GRADES, OBJECTIVES, TURNS)}
        rows = metrics_of(grades, by=["condition"], beta=settings.beta, replicates=settings.replicates).select(
            F.lit(digest("evaluation", chosen, versions)).alias("evaluation_id"),
            "condition",
            "metric",
            "value",
            "n",
            "n_dialogues",
            "ci_low",
            "ci_high",
            F.lit(extractor).alias("extractor"),
            F.lit(grader).alias("grader"),
            F.lit(settings.beta).alias("beta"),
            F.lit(dt.datetime.now(dt.UTC)).alias("created_at"),
        )
        rows = rows.persist()
        warehouse.upsert(METRICS, rows)
        made = rows.count()
        ungraded = grades.where("r_a IS NULL").count()
        grades.unpersist()
        rows.unpersist()
        return Counts(rows_in=rollouts, rows_out=made, rows_failed=ungraded)

    run_step(
        warehouse,
        "evaluate",
        (GRADES, OBJECTIVES, TURNS),
        work,
        subject=f"{extractor} {grader}" if extractor != grader else extractor,
        settings=digest(chosen),
        all_again=all_again,
    )
    return newest(warehouse, extractor, grader, settings.beta)


def eval_grades(warehouse: Warehouse, extractor: str, grader: str) -> DataFrame:
    """One row per graded rollout of a usable eval turn, with the columns that the metrics are made of."""
    key = ["session_id", "turn", "dialogue_version"]
    grades = warehouse.read(GRADES).where((F.col("extractor") == extractor) & (F.col("grader") == grader))
    objectives = warehouse.read(OBJECTIVES).where(F.col("extractor") == extractor)
    objectives = objectives.where("dropped_reason IS NULL").select(*key, F.col("decision").alias("target"))
    turns = warehouse.read(TURNS).where("split = 'eval' AND dropped_reason IS NULL").select(*key)
    rollouts = warehouse.read(ROLLOUTS).select("condition", *key, "sample", "decision")
    return (
        grades.select("condition", *key, "sample", "r_a", "r_s", "omega")
        .join(turns, key)
        .join(objectives, key)
        .join(rollouts, ["condition", *key, "sample"])
    )


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
    show(row.asDict() for row in evaluate(tables, settings.judge, settings.evaluate, all_again=all_again))


if __name__ == "__main__":
    command()
