"""Ungraded rollouts into `grades`: R_a, R_s and Omega of each under one extractor and one grader.

l2a grade [--condition NAME] [--grader NAME]
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from l2a.errors import UsageError
from l2a.open_judge import is_llm
from l2a.options import Command, common, refuse_llm_options
from l2a.reward.columns import grade_column, needs_grader_column
from l2a.settings import JudgeSettings
from l2a.settings.llm import LLMSettings
from l2a.tables.contracts import DIALOGUES, GRADES, OBJECTIVES, ROLLOUTS, TURNS
from l2a.tables.warehouse import Warehouse, sql_text
from spark_jobs.calls import Paid, retryable
from spark_jobs.command import all_again as all_again_option
from spark_jobs.command import llm_given, llm_options, start
from spark_jobs.command import max_failed_share as max_failed_share_option
from spark_jobs.counts import Counts
from spark_jobs.fit_judge import fit_if_none_is
from spark_jobs.judging import judge_questions, resolve
from spark_jobs.last_run import Since
from spark_jobs.llm_judging import LLMJudge, judged, wanted_llm_judge
from spark_jobs.runs import digest, run_step

KEY = ["condition", "session_id", "turn", "sample"]


def grade(
    warehouse: Warehouse,
    settings: JudgeSettings,
    llm: LLMSettings | None = None,
    *,
    condition: str | None = None,
    max_failed_share: float = 1.0,
    all_again: bool = False,
    null_outcome_is_success: bool = True,
) -> Counts | None:
    """Grades the rollouts of one condition, or of all; None: nothing changed since the last time. Fits the embedded
    judge first where it is to grade and none is fitted.

    llm: who is asked by the grader `llm`. Rows of which the call failed are taken again by the next run.
    null_outcome_is_success: whether the judge is fitted on dialogues without an outcome, too.
    Raises `UsageError` for a condition without rollouts, or an extractor without objectives; JobStopped when the
    endpoints end the job.
    """
    rollouts = warehouse.read(ROLLOUTS)
    if condition is not None and rollouts.where(F.col("condition") == condition).isEmpty():
        known = sorted(row[0] for row in rollouts.select("condition").distinct().collect())
        raise UsageError(f"condition {condition} has no rollouts; there are: {', '.join(known) or 'none'}")
    extractor = resolve(warehouse, settings.extractor, "extractor")
    llm = llm or LLMSettings.model_validate({})
    judge = wanted_llm_judge(settings, llm, "grader")
    if settings.grader == "embedded":
        fit_if_none_is(warehouse, settings, "grade", null_outcome_is_success=null_outcome_is_success)
    grader = judge.grader if judge else resolve(warehouse, settings.grader, "grader")
    within = f"extractor = {sql_text(extractor)} AND grader = {sql_text(grader)}"
    if condition is not None:
        within += f" AND condition = {sql_text(condition)}"
    mine = F.lit(True) if condition is None else F.col("condition") == condition

    def work(since: Since) -> Counts:
        scope = since.changed_sessions(warehouse, ROLLOUTS, OBJECTIVES)
        wanted = warehouse.read(ROLLOUTS).where(mine)
        if scope is None:
            _check_extracted(warehouse, extractor)
        else:
            wanted = wanted.join(scope, "session_id", "left_semi")
        joined = _with_objectives(warehouse, wanted, extractor)
        asked = _needing_a_grader(warehouse, joined)
        with _judged(warehouse, grader, judge, asked) as (judgements, paid):
            graded = _graded(joined, judgements, extractor, grader).persist(StorageLevel.DISK_ONLY)
            warehouse.replace(GRADES, graded, scope=scope, within=within)
            remove_orphans(warehouse, scope, mine)
            counted = graded.agg(F.count("*").alias("all"), F.count("error").alias("failed")).first()
            graded.unpersist()
        everything = wanted.count()
        assert counted is not None
        return Counts(
            rows_in=everything,
            rows_out=counted["all"] - counted["failed"],
            rows_set_aside=everything - counted["all"],
            rows_failed=counted["failed"],
            **paid.counts(),
        )

    return run_step(
        warehouse,
        "grade",
        (ROLLOUTS, OBJECTIVES),
        work,
        subject=condition or "all conditions",
        settings=digest(extractor, grader),
        failed_before=(lambda since: retryable(warehouse, GRADES, within, llm.max_runs, since)) if judge else None,
        max_failed_share=max_failed_share,
        all_again=all_again,
    )


def remove_orphans(warehouse: Warehouse, scope: DataFrame | None, mine: Column) -> None:
    """Grades of rollouts that are no more go whoever gave them; an older judge never comes to look for its own."""
    there = warehouse.read(GRADES).where(mine)
    if scope is not None:
        there = there.join(scope, "session_id", "left_semi")
    orphans = there.join(warehouse.read(ROLLOUTS), KEY, "left_anti").select(*GRADES.key)
    if not orphans.isEmpty():
        warehouse.replace(GRADES, there.limit(0), scope=orphans, unique=True)


def _check_extracted(warehouse: Warehouse, extractor: str) -> None:
    """Raises `UsageError` where an extractor has no rows yet: a judge was fitted anew, and nothing extracted by it."""
    if warehouse.read(OBJECTIVES).where(F.col("extractor") == extractor).isEmpty():
        raise UsageError(f"grade: there are no objectives by {extractor} to grade by: run `l2a extract`")


def _with_objectives(warehouse: Warehouse, rollouts: DataFrame, extractor: str) -> DataFrame:
    """Adds target and information. Rollouts on turns that the extractor left out, or could not read, get none."""
    objectives = (
        warehouse.read(OBJECTIVES)
        .where((F.col("extractor") == extractor) & (F.col("status") == "ok") & F.col("dropped_reason").isNull())
        .select("session_id", "turn", "dialogue_version", "information", F.col("decision").alias("target"))
    )
    # A dialogue that changed waits for its slicing: its old turns are cut out of a text that is no more.
    newest = warehouse.read(DIALOGUES).select("session_id", "dialogue_version")
    rollouts = rollouts.drop("request_id").join(newest, ["session_id", "dialogue_version"], "left_semi")
    return rollouts.join(objectives, ["session_id", "turn", "dialogue_version"])


@contextmanager
def _judged(
    warehouse: Warehouse, grader: str, judge: LLMJudge | None, asked: DataFrame
) -> Iterator[tuple[DataFrame, Paid]]:
    """KEY, what the grader says (JUDGED) and request_id of the rollouts that need a grader."""
    if judge is not None:
        with judged(warehouse, judge, asked, KEY) as found:
            yield found
    else:
        rows = judge_questions(warehouse, grader, asked, KEY)
        yield rows.withColumn("request_id", F.lit(None).cast("string")), Paid()


def _graded(joined: DataFrame, judgements: DataFrame, extractor: str, grader: str) -> DataFrame:
    """Rows of `grades`."""
    grades = joined.join(judgements, KEY, "left").withColumn(
        "grade",
        grade_column(F.col("target"), F.col("text"), F.col("judged_r_a"), F.col("judged_asks"), F.col("judged_error")),
    )
    return grades.select(
        "condition",
        "model_version",
        "session_id",
        "turn",
        "dialogue_version",
        "sample",
        F.lit(extractor).alias("extractor"),
        F.lit(grader).alias("grader"),
        "grade.*",
        F.when(F.col("grade.r_a") > 0, F.col("judged_item")).alias("asked_item"),
        "request_id",
    )


def questions(warehouse: Warehouse, extractor: str, condition: str | None) -> DataFrame:
    """All rollouts that need a grader, with what it is to be told; for one condition or all."""
    mine = F.lit(True) if condition is None else F.col("condition") == condition
    return _needing_a_grader(warehouse, _with_objectives(warehouse, warehouse.read(ROLLOUTS).where(mine), extractor))


def _needing_a_grader(warehouse: Warehouse, joined: DataFrame) -> DataFrame:
    return _with_context(warehouse, joined.where(needs_grader_column(F.col("target"), F.col("text"))))


def _with_context(warehouse: Warehouse, asked: DataFrame) -> DataFrame:
    places = warehouse.read(TURNS).select("session_id", "turn", "dialogue_version", "context_end")
    dialogues = warehouse.read(DIALOGUES).select("session_id", "dialogue_version", "domain", "goal", "messages")
    context = F.slice("messages", F.lit(1), F.col("context_end"))
    future = F.slice("messages", F.col("context_end") + 1, F.size("messages"))
    return (
        asked.join(places, ["session_id", "turn", "dialogue_version"])
        .join(dialogues, ["session_id", "dialogue_version"])
        .withColumns({"context": context, "future": future})
        .drop("messages", "context_end")
    )


@click.command(cls=Command)
@click.option("--condition", metavar="NAME", help="Only this condition [default: all].")
@click.option("--grader", metavar="NAME", help="`embedded`, `llm`, or a fitted judge's full name [embedded].")
@click.option("--extractor", metavar="NAME", help="Whose objectives to grade by [default: embedded].")
@llm_options
@all_again_option
@max_failed_share_option
@common
def command(
    condition: str | None,
    grader: str | None,
    extractor: str | None,
    all_again: bool,
    max_failed_share: float | None,
    config: str | None,
    warehouse: str | None,
    **llm: Any,
) -> None:
    """Ungraded rollouts into grades."""
    given = llm_given(**llm)
    settings, tables = start(
        config,
        warehouse,
        max_failed_share=max_failed_share,
        judge={"grader": grader, "extractor": extractor},
        llm=given,
    )
    if not is_llm(settings.judge.grader):
        refuse_llm_options(given, f"the grader is {settings.judge.grader}")
    grade(
        tables,
        settings.judge,
        settings.llm,
        condition=condition,
        max_failed_share=settings.max_failed_share,
        all_again=all_again,
        null_outcome_is_success=settings.ingest.null_outcome_is_success,
    )


if __name__ == "__main__":
    command()
