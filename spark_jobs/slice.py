"""New and changed dialogues into `turns`: positions, not text.

l2a slice
spark-submit spark_jobs/slice.py --warehouse s3a://bucket/warehouse
"""

from __future__ import annotations

import click
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from l2a.dialogue.slicing import with_decision_points
from l2a.options import Command, common
from l2a.tables.contracts import DIALOGUES, TURNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.command import all_again as all_again_option
from spark_jobs.command import start
from spark_jobs.counts import Counts
from spark_jobs.last_run import Since
from spark_jobs.runs import digest, run_step


def successful(null_outcome_is_success: bool) -> Column:
    """Whether a row of `dialogues` counts as a success: what its turns are used for, and what a judge is fitted on."""
    return F.coalesce(F.col("outcome") == "success", F.lit(null_outcome_is_success))


def turns_of(dialogues: DataFrame, null_outcome_is_success: bool) -> DataFrame:
    """Rows of `turns` for rows of `dialogues`."""
    narrow = dialogues.select(
        "session_id",
        "dialogue_version",
        "split",
        F.when(~successful(null_outcome_is_success), F.lit("outcome")).alias("dropped_reason"),
        "messages",
    )
    return with_decision_points(narrow)


def slice_dialogues(
    warehouse: Warehouse, *, null_outcome_is_success: bool = True, all_again: bool = False
) -> Counts | None:
    """Slices what is new; None: nothing was. A dialogue that became shorter leaves no turn behind."""
    warehouse.read(DIALOGUES)

    def work(since: Since) -> Counts:
        scope = since.changed_sessions(warehouse, DIALOGUES)
        if scope is None:
            dialogues = warehouse.read(DIALOGUES)
        else:
            # Looking for a night's dialogues among all would read the messages of all. What is written from now on may
            # be among the newest rows already, but not in the scope.
            dialogues = since.newest(warehouse, DIALOGUES).join(scope, "session_id", "left_semi")
        rows = turns_of(dialogues, null_outcome_is_success).persist()
        if scope is None:
            warehouse.replace(TURNS, rows, unique=True)
        else:
            warehouse.replace_numbered(TURNS, rows, scope)
        seen = rows.agg(
            F.count_distinct("session_id").alias("dialogues"),
            F.count("*").alias("turns"),
            F.count("dropped_reason").alias("dropped"),
        ).first()
        rows.unpersist()
        assert seen is not None
        return Counts(rows_in=seen["dialogues"], rows_out=seen["turns"], rows_set_aside=seen["dropped"])

    return run_step(
        warehouse,
        "slice",
        (DIALOGUES,),
        work,
        settings=digest(null_outcome_is_success),
        replaces=True,
        all_again=all_again,
    )


@click.command(cls=Command)
@all_again_option
@common
def command(all_again: bool, config: str | None, warehouse: str | None) -> None:
    """New or changed dialogues into turns."""
    settings, tables = start(config, warehouse)
    slice_dialogues(tables, null_outcome_is_success=settings.ingest.null_outcome_is_success, all_again=all_again)


if __name__ == "__main__":
    command()
