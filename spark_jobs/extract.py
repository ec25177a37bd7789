"""New usable turns into `objectives`: what was worth asking there, and whether to stop.

l2a extract [--extractor NAME]
"""

from __future__ import annotations

import click
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from l2a.hindsight import objective
from l2a.options import Command, common
from l2a.progress import say
from l2a.settings import JudgeSettings
from l2a.tables.contracts import DIALOGUES, OBJECTIVES, TURNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.command import all_again as all_again_option
from spark_jobs.command import max_failed_share as max_failed_share_option
from spark_jobs.command import start
from spark_jobs.fit_judge import fit_judge
from spark_jobs.judging import extract_facts, newest_judge, resolve
from spark_jobs.runs import Counts, Since, run_step


def extract(
    warehouse: Warehouse, settings: JudgeSettings, *, max_failed_share: float = 1.0, all_again: bool = False
) -> Counts | None:
    """Reads the objectives of new turns; None: there were none. Fits the embedded judge first where none is fitted."""
    warehouse.read(TURNS)
    if settings.extractor == "embedded" and newest_judge(warehouse) is None:
        say("extract: no embedded judge is fitted yet, fitting one on the train split")
        fit_judge(warehouse, settings)
    extractor = resolve(warehouse, settings.extractor, "extractor")

    def work(since: Since) -> Counts:
        scope = since.changed_sessions(warehouse, TURNS)
        turns = warehouse.read(TURNS)
        if scope is not None:
            turns = turns.join(scope, "session_id", "left_semi")
        usable = turns.where("dropped_reason IS NULL")
        dialogues = warehouse.read(DIALOGUES).join(usable.select("session_id").distinct(), "session_id", "left_semi")
        facts = extract_facts(warehouse, extractor, dialogues).persist(StorageLevel.DISK_ONLY)
        # Turns and dialogues of one version belong together; a dialogue that changed in between waits for its slicing.
        joined = usable.join(facts, ["session_id", "dialogue_version"])
        new = objective.information(F.col("facts"), F.col("context_end"), F.col("is_final"))
        failed = F.col("error").isNotNull()
        rows = joined.withColumn("information", F.when(~failed, new)).select(
            "session_id",
            "turn",
            "dialogue_version",
            F.lit(extractor).alias("extractor"),
            "information",
            F.when(~failed, objective.decision(F.col("information"), F.col("is_final"))).alias("decision"),
            F.when(~failed, objective.dropped_reason(F.col("information"), F.col("is_final"))).alias("dropped_reason"),
            F.when(failed, "failed").otherwise("ok").alias("status"),
            "error",
        )
        warehouse.replace(OBJECTIVES, rows, scope=scope, within=f"extractor = '{extractor}'")
        seen = rows.agg(
            F.count("*").alias("turns"), F.count("dropped_reason").alias("dropped"), F.count("error").alias("failed")
        ).first()
        everything = turns.count()
        facts.unpersist()
        assert seen is not None
        return Counts(
            rows_in=everything,
            rows_out=seen["turns"] - seen["failed"] - seen["dropped"],
            rows_set_aside=everything - seen["turns"] + seen["dropped"],
            rows_failed=seen["failed"],
        )

    return run_step(
        warehouse,
        "extract",
        (TURNS,),
        work,
        subject=extractor,
        max_failed_share=max_failed_share,
        all_again=all_again,
    )


@click.command(cls=Command)
@click.option("--extractor", metavar="NAME", help="`embedded` or the full name of a fitted judge [default: embedded].")
@all_again_option
@max_failed_share_option
@common
def command(
    extractor: str | None, all_again: bool, max_failed_share: float | None, config: str | None, warehouse: str | None
) -> None:
    """New usable turns into objectives: the information set and the decision."""
    settings, tables = start(config, warehouse, max_failed_share=max_failed_share, judge={"extractor": extractor})
    extract(tables, settings.judge, max_failed_share=settings.max_failed_share, all_again=all_again)


if __name__ == "__main__":
    command()
