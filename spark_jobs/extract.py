"""New usable turns into `objectives`: what was worth asking there, and whether to stop.

l2a extract [--extractor NAME]
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from l2a.hindsight import objective
from l2a.hindsight.decide import read_overrules
from l2a.open_judge import is_llm
from l2a.options import Command, common, refuse_llm_options
from l2a.settings import JudgeSettings, ObjectiveSettings
from l2a.settings.llm import LLMSettings
from l2a.tables.contracts import DIALOGUES, OBJECTIVES, TURNS
from l2a.tables.warehouse import Warehouse, sql_text
from spark_jobs.calls import Paid, retryable
from spark_jobs.command import all_again as all_again_option
from spark_jobs.command import llm_given, llm_options, start
from spark_jobs.command import max_failed_share as max_failed_share_option
from spark_jobs.counts import Counts
from spark_jobs.fit_judge import fit_if_none_is
from spark_jobs.generic import keep_out_generic
from spark_jobs.judging import extract_facts, resolve
from spark_jobs.last_run import Since
from spark_jobs.llm_judging import LLMJudge, extracted, wanted_llm_judge
from spark_jobs.runs import digest, run_step


def extract(
    warehouse: Warehouse,
    settings: JudgeSettings,
    llm: LLMSettings | None = None,
    objectives: ObjectiveSettings | None = None,
    *,
    null_outcome_is_success: bool = True,
    max_failed_share: float = 1.0,
    all_again: bool = False,
) -> Counts | None:
    """Reads the objectives of new turns; None: there were none. Fits the embedded judge first where none is fitted.

    llm: who is asked by the extractor `llm`. Rows of which the call failed are taken again by the next run.
    null_outcome_is_success: whether the judge is fitted on dialogues without an outcome, too.
    objectives: what is left out as generic. A change of it takes everything again, without a new call.
    Raises JobStopped when the endpoints end the job; what they answered is kept.
    """
    warehouse.read(TURNS)
    llm = llm or LLMSettings.model_validate({})
    objectives = objectives or ObjectiveSettings()
    overrules = read_overrules(objectives.generic_file)
    judge = wanted_llm_judge(settings, llm, "extractor")
    if settings.extractor == "embedded":
        fit_if_none_is(warehouse, settings, "extract", null_outcome_is_success=null_outcome_is_success)
    extractor = judge.extractor if judge else resolve(warehouse, settings.extractor, "extractor")
    mine = f"extractor = {sql_text(extractor)}"

    def work(since: Since) -> Counts:
        scope = since.changed_sessions(warehouse, TURNS)
        turns = warehouse.read(TURNS)
        if scope is not None:
            turns = turns.join(scope, "session_id", "left_semi")
        usable = turns.where("dropped_reason IS NULL")
        dialogues = warehouse.read(DIALOGUES).join(usable.select("session_id").distinct(), "session_id", "left_semi")
        with _facts(warehouse, extractor, judge, usable, dialogues) as (facts, paid):
            read = _objectives(usable, dialogues, facts, extractor)
            rows = keep_out_generic(warehouse, extractor, read, scope, objectives, overrules)
            seen = rows.agg(
                F.count("*").alias("turns"),
                F.count("dropped_reason").alias("dropped"),
                F.count("error").alias("failed"),
            ).first()
            dropped = facts.agg(F.sum("facts_dropped")).first()
            rows.unpersist()
        everything = turns.count()
        assert seen is not None and dropped is not None
        return Counts(
            rows_in=everything,
            rows_out=seen["turns"] - seen["failed"] - seen["dropped"],
            rows_set_aside=everything - seen["turns"] + seen["dropped"],
            rows_failed=seen["failed"],
            facts_dropped=dropped[0],
            **paid.counts(),
        )

    return run_step(
        warehouse,
        "extract",
        (TURNS,),
        work,
        subject=extractor,
        settings=digest(
            settings.extraction_max_tokens if judge else None,
            objectives.model_dump(exclude={"generic_file"}),
            sorted((*place, generic) for place, generic in overrules.items()),
        ),
        replaces=True,
        failed_before=(lambda since: retryable(warehouse, OBJECTIVES, mine, llm.max_runs, since)) if judge else None,
        max_failed_share=max_failed_share,
        all_again=all_again,
    )


@contextmanager
def _facts(
    warehouse: Warehouse, extractor: str, judge: LLMJudge | None, usable: DataFrame, dialogues: DataFrame
) -> Iterator[tuple[DataFrame, Paid]]:
    """session_id, dialogue_version (and turn, from an extractor that is asked per turn), facts, error, ..."""
    if judge is not None:
        with extracted(warehouse, judge, usable, dialogues) as found:
            yield found
        return
    facts = extract_facts(warehouse, extractor, dialogues).persist(StorageLevel.DISK_ONLY)
    try:
        yield facts.withColumns({name: F.lit(None).cast(kind) for name, kind in NO_CALL.items()}), Paid()
    finally:
        facts.unpersist()


NO_CALL = {"facts_dropped": "int", "request_id": "string"}


def _objectives(usable: DataFrame, dialogues: DataFrame, facts: DataFrame, extractor: str) -> DataFrame:
    """Rows of `objectives` before anything is left out, with is_final. A turn without facts of its own (a final one
    needs none) gets none."""
    # Turns and dialogues of one version belong together; a dialogue that changed in between waits for its slicing.
    there = usable.join(dialogues.select("session_id", "dialogue_version"), ["session_id", "dialogue_version"])
    key: list[str] = [name for name in ("session_id", "turn", "dialogue_version") if name in facts.columns]
    joined = there.join(facts, key, "left")
    facts_or_none = F.coalesce("facts", F.array().cast(objective.FACTS))
    new = objective.supplied(facts_or_none, F.col("context_end"), F.col("is_final"))
    # A final turn has nothing left to supply, whoever could not be asked. Any other must have been answered.
    joined = joined.withColumn(
        "error", F.when(F.col("facts").isNull(), F.coalesce("error", F.lit("extractor: it gave no answer")))
    )
    failed = F.col("error").isNotNull() & ~F.col("is_final")
    return joined.select(
        "session_id",
        "turn",
        "dialogue_version",
        "is_final",
        F.lit(extractor).alias("extractor"),
        F.when(failed, "failed").otherwise("ok").alias("status"),
        F.when(failed, F.col("error")).alias("error"),
        F.when(~F.col("is_final"), F.col("request_id")).alias("request_id"),
        F.when(~failed, new).alias("supplied"),
    )


@click.command(cls=Command)
@click.option(
    "--extractor", metavar="NAME", help="`embedded`, `llm`, or the full name of a fitted judge [default: embedded]."
)
@llm_options
@all_again_option
@max_failed_share_option
@common
def command(
    extractor: str | None,
    all_again: bool,
    max_failed_share: float | None,
    config: str | None,
    warehouse: str | None,
    **llm: Any,
) -> None:
    """New usable turns into objectives: the information set and the decision."""
    given = llm_given(**llm)
    settings, tables = start(
        config, warehouse, max_failed_share=max_failed_share, judge={"extractor": extractor}, llm=given
    )
    if not is_llm(settings.judge.extractor):
        refuse_llm_options(given, f"the extractor is {settings.judge.extractor}")
    extract(
        tables,
        settings.judge,
        settings.llm,
        settings.objectives,
        null_outcome_is_success=settings.ingest.null_outcome_is_success,
        max_failed_share=settings.max_failed_share,
        all_again=all_again,
    )


if __name__ == "__main__":
    command()
