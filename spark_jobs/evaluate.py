"""Grades of the eval split into `metrics`, with 95 % intervals over dialogues, and by slices; prints the table.

l2a evaluate [--beta 2.0]
l2a evaluate --baseline random              what each condition is above another, in pairs
l2a evaluate --what-if | --beta 0,.5,1,2,4  does the order of the conditions hang on how the reward is defined?
"""

from __future__ import annotations

import math

import click
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from l2a.conditions import BUILT_IN, CHAMPION
from l2a.errors import UsageError
from l2a.metrics import what_if
from l2a.metrics.compare import compare
from l2a.metrics.evaluate import evaluate_sums
from l2a.metrics.ranking import show_rankings
from l2a.metrics.slices import EVERYTHING, by_slice, cube
from l2a.metrics.table import show, show_comparisons
from l2a.metrics.tracked import track
from l2a.options import Command, common
from l2a.progress import say
from l2a.settings import EvaluateSettings, JudgeSettings, Settings
from l2a.tables.contract import Contract
from l2a.tables.contracts import COMPARISONS, METRIC_CUBE, METRIC_SLICES, METRICS
from l2a.tables.warehouse import Warehouse
from spark_jobs.command import all_again as all_again_option
from spark_jobs.command import start
from spark_jobs.counts import Counts
from spark_jobs.evaluating import (
    EVAL,
    INPUTS,
    Evaluation,
    check_baseline,
    dropped_share,
    evaluation,
    model_versions,
    placed,
    turn_sums,
    ungraded,
    usable_grades,
)
from spark_jobs.last_run import Since
from spark_jobs.runs import run_step


def evaluate(
    warehouse: Warehouse, judge: JudgeSettings, settings: EvaluateSettings, *, all_again: bool = False
) -> list[Row]:
    """The metrics of all conditions under one extractor and grader: rows of `metrics`, of the newest evaluation.

    Also writes `metric_slices` and `metric_cube`, and `comparisons` where the settings name a baseline.
    Raises `UsageError` where no rollout of a usable eval turn is graded yet, and for an unknown baseline.
    """
    which = evaluation(warehouse, judge, settings)
    if settings.baseline not in (None, CHAMPION):
        check_baseline(warehouse, which, settings.baseline)

    def work(since: Since) -> Counts:
        parts = turn_sums(warehouse, which).persist()
        without_grade = F.expr("n_rollouts - n + n_continue_right - n_continue_graded")
        rollouts, failed = parts.where(EVAL).agg(F.sum("n_rollouts"), F.sum(without_grade)).collect()[0]
        if not rollouts:
            raise UsageError(
                'no rollout of a usable eval turn is graded. `l2a sql "SELECT * FROM drop_reasons"` says which turns '
                "each split has; a small log may have none in eval: `l2a ingest FILE --split eval` puts a file there"
            )
        made = _write(warehouse, which, parts)
        parts.unpersist()
        return Counts(rows_in=rollouts, rows_out=made, rows_failed=failed)

    run_step(warehouse, "evaluate", INPUTS, work, subject=which.subject, settings=which.digest, all_again=all_again)
    if settings.baseline is not None:
        # The champion is no typing mistake: where its answers are what failed, the others' are measured all the same.
        check_baseline(warehouse, which, settings.baseline)
        _compare(warehouse, which, settings.baseline, all_again=all_again)
    return _newest(warehouse, METRICS, which)


def tell(warehouse: Warehouse, settings: Settings, rows: list[Row]) -> None:
    """Prints an evaluation's table; the metrics of registered models go to MLflow, too."""
    found = [row.asDict() for row in rows]
    show(found, settings.evaluate.warn_share)
    which = Evaluation(found[0]["extractor"], found[0]["grader"], settings.evaluate)
    how = f"`l2a grade --extractor {which.extractor} --grader {which.grader}`"
    for condition, count in ungraded(warehouse, which).items():
        say(f"evaluate: {count:,} rollouts of {condition} are not graded yet and not in this: run {how}")
    if any(row["condition"] not in BUILT_IN for row in found):
        track(settings, found, model_versions(warehouse, which))


def comparisons(warehouse: Warehouse, judge: JudgeSettings, settings: EvaluateSettings) -> list[Row]:
    """The rows of `comparisons` with the settings' baseline, of the newest evaluation that has some."""
    which = evaluation(warehouse, judge, settings)
    return _newest(warehouse, COMPARISONS, which, F.col("baseline").eqNullSafe(F.lit(settings.baseline)))


def _write(warehouse: Warehouse, which: Evaluation, parts: DataFrame) -> int:
    """Rows into `metrics`, `metric_slices` and `metric_cube`; how many. Metrics and slices are made in one pass."""
    about = which.columns(warehouse)
    rows = placed(warehouse, parts, which.settings.max_slice_values)
    cells = cube(rows).withColumns(about).persist()
    found = evaluate_sums(
        by_slice(rows.where(EVAL)),
        by=["condition", "slice", "slice_value"],
        beta=which.settings.beta,
        replicates=which.settings.replicates,
    )
    dropped = F.lit(dropped_share(warehouse, which.extractor)).cast("double")
    found = found.withColumns({**about, "dropped_share": dropped}).persist()
    everything = F.col("slice") == EVERYTHING
    made = _upsert(warehouse, METRIC_CUBE, cells)
    made += _upsert(warehouse, METRIC_SLICES, found.where(~everything))
    made += _upsert(warehouse, METRICS, found.where(everything))
    found.unpersist()
    cells.unpersist()
    return made


def _compare(warehouse: Warehouse, which: Evaluation, baseline: str, *, all_again: bool) -> None:
    """A step of its own: another baseline is not another evaluation."""

    def work(since: Since) -> Counts:
        about = {**which.columns(warehouse), "baseline": F.lit(baseline)}
        parts = turn_sums(warehouse, which).where(EVAL).persist()
        beta, replicates = which.settings.beta, which.settings.replicates
        found = compare(parts, baseline=baseline, beta=beta, replicates=replicates).withColumns(about).persist()
        counts = Counts(rows_in=parts.count(), rows_out=_upsert(warehouse, COMPARISONS, found))
        found.unpersist()
        parts.unpersist()
        return counts

    run_step(
        warehouse,
        "compare",
        INPUTS,
        work,
        subject=f"{baseline}: {which.subject}",
        settings=which.digest,
        all_again=all_again,
    )


def _upsert(warehouse: Warehouse, contract: Contract, rows: DataFrame) -> int:
    warehouse.upsert(contract, rows, unique=True)
    return rows.count()


def _newest(warehouse: Warehouse, contract: Contract, which: Evaluation, more: Column | None = None) -> list[Row]:
    """The rows of this evaluation; where it was not made on the tables as they are, of the newest one with these judges
    and this beta."""
    same = (F.col("extractor") == which.extractor) & (F.col("grader") == which.grader)
    rows = warehouse.read_or_empty(contract).where(same & (F.col("beta") == which.settings.beta))
    rows = rows if more is None else rows.where(more)
    this = F.col("evaluation_id") == which.id_now(warehouse)
    last = rows.orderBy(this.desc(), F.col("created_at").desc(), "evaluation_id").select("evaluation_id").first()
    return [] if last is None else rows.where(F.col("evaluation_id") == last[0]).collect()


class _Betas(click.ParamType):
    """One number, 0 or more, or several with commas between."""

    name = "number"

    def convert(
        self, value: str | tuple[float, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        one = click.FloatRange(min=0)
        found = tuple(float(one(part.strip(), param, ctx)) for part in value.split(","))
        if not all(map(math.isfinite, found)):
            self.fail(f"{value} is not finite", param, ctx)
        return found


@click.command(cls=Command)
@click.option(
    "--beta",
    "betas",
    type=_Betas(),
    metavar="B[,B...]",
    help="Weight of R_a in TR [default: 2.0]. Several: prints the conditions' order under each, stores none.",
)
@click.option("--baseline", metavar="NAME", help="Compare the other conditions with this one [default: none].")
@click.option("--what-if", "asked_what_if", is_flag=True, help="The order under other betas, the sum, other Omegas.")
@click.option(
    "--omega",
    "omegas",
    multiple=True,
    metavar="NAME=W[,NAME=W...]",
    help="What if Omega weighed so, such as two_questions=0,mixed_stop=.5; repeatable.",
)
@click.option("--extractor", metavar="NAME", help="Objectives of this extractor [default: embedded].")
@click.option("--grader", metavar="NAME", help="Grades of this grader [default: embedded].")
@all_again_option
@common
def command(
    betas: tuple[float, ...] | None,
    baseline: str | None,
    asked_what_if: bool,
    omegas: tuple[str, ...],
    extractor: str | None,
    grader: str | None,
    all_again: bool,
    config: str | None,
    warehouse: str | None,
) -> str:
    """Grades into metrics with intervals; prints the table."""
    weights = [what_if.parse_weights(text) for text in omegas]
    single = betas[0] if betas and len(betas) == 1 else None
    several = betas if betas and len(betas) > 1 else ()
    settings, tables = start(
        config,
        warehouse,
        evaluate={"beta": single, "baseline": baseline},
        judge={"extractor": extractor, "grader": grader},
    )
    chosen = settings.evaluate
    rows = evaluate(tables, settings.judge, chosen, all_again=all_again)
    tell(tables, settings, rows)
    if chosen.baseline is not None:
        show_comparisons(row.asDict() for row in comparisons(tables, settings.judge, chosen))
    if asked_what_if or several or weights:
        wanted = what_if.variants(
            chosen.beta,
            several or (what_if.BETAS if asked_what_if else ()),
            fusion=asked_what_if,
            weights=weights or (what_if.OTHER_WEIGHTS if asked_what_if else ()),
        )
        grades = usable_grades(tables, evaluation(tables, settings.judge, chosen)).where(EVAL)
        show_rankings(wanted, what_if.mean_rewards(grades, wanted))
    return str(rows[0]["evaluation_id"])  # for `l2a grid`, which tells of this one


if __name__ == "__main__":
    command()
