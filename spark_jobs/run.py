"""The whole loop on logs: ingest, slice, extract, rollout of the built-in conditions, grade, evaluate.

l2a run logs/*.jsonl
"""

from __future__ import annotations

from typing import Any

import click

from l2a.conditions import BUILT_IN
from l2a.errors import TooManyFailures
from l2a.mapping import load
from l2a.next_steps import next_steps
from l2a.open_judge import is_llm
from l2a.options import Command, common, refuse_llm_options
from l2a.progress import say
from spark_jobs.command import llm_given, llm_options, start
from spark_jobs.command import max_failed_share as max_failed_share_option
from spark_jobs.evaluate import evaluate, tell
from spark_jobs.extract import extract
from spark_jobs.grade import grade
from spark_jobs.ingest import ingest
from spark_jobs.rollout import rollout
from spark_jobs.slice import slice_dialogues

LOOKS = {
    'sql "SELECT * FROM metric_table"': "the same table, for queries",
    'sql "SELECT * FROM quarantine_reasons"': "lines that were rejected, and why",
    'sql "SELECT * FROM drop_reasons"': "turns that were left out, and why",
    "status": "what ran, what waits",
}


@click.command(cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--mapping", metavar="NAME|FILE", help="How the logs are to be read [default: native].")
@click.option(
    "--split", "given_split", type=click.Choice(["train", "eval"]), help="The split that these logs bring themselves."
)
@llm_options
@max_failed_share_option
@common
def command(
    paths: tuple[str, ...],
    mapping: str | None,
    given_split: str | None,
    max_failed_share: float | None,
    config: str | None,
    warehouse: str | None,
    **llm: Any,
) -> None:
    """The whole loop on logs; prints the metric table."""
    how = load(mapping)
    given = llm_given(**llm)
    settings, tables = start(config, warehouse, max_failed_share=max_failed_share, llm=given)
    if not (is_llm(settings.judge.extractor) or is_llm(settings.judge.grader)):
        refuse_llm_options(
            given, f"[judge] has the extractor {settings.judge.extractor} and the grader {settings.judge.grader}"
        )
    allowed = settings.max_failed_share
    too_many: TooManyFailures | None = None
    try:
        ingest(tables, list(paths), how, settings.ingest, given_split=given_split, max_failed_share=allowed)
    except TooManyFailures as error:
        # What was good is kept, so it is worth going on with; the exit code tells.
        say(str(error))
        too_many = error
    unknown = settings.ingest.null_outcome_is_success
    slice_dialogues(tables, null_outcome_is_success=unknown)
    extract(
        tables,
        settings.judge,
        settings.llm,
        settings.objectives,
        null_outcome_is_success=unknown,
        max_failed_share=allowed,
    )
    for condition in BUILT_IN:
        rollout(tables, condition, settings.evaluate, max_failed_share=allowed)
    grade(tables, settings.judge, settings.llm, max_failed_share=allowed, null_outcome_is_success=unknown)
    rows = evaluate(tables, settings.judge, settings.evaluate)
    tell(tables, settings, rows)
    say(next_steps(LOOKS, settings.warehouse))
    if too_many is not None:
        raise too_many


if __name__ == "__main__":
    command()
