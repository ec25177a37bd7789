"""`l2a status`: the last runs of the steps, and what waits for the next ones. Without Spark."""

from __future__ import annotations

import sys

import click

from l2a.options import Command, common, settings_of
from l2a.sql import output
from l2a.sql.engine import connect, query
from l2a.sql.types import literal

TABLES = ("runs", "dialogues", "turns", "objectives", "rollouts", "grades", "newest_extractor")

# The error of the row that a run leaves before it replaces what was made with other settings: should it be killed, the
# next run must know. It tells of no failure once a run of the same step and subject has ended well after it.
REPLACING = "started to replace what was made with other settings"

RUNS_TO_SHOW = f"""
SELECT *
FROM runs
QUALIFY error IS DISTINCT FROM '{REPLACING}'
  OR coalesce(max(started_at) FILTER (WHERE status = 'ok') OVER (PARTITION BY step, subject) < started_at, true)
"""

LAST_RUNS = f"""
SELECT
  date_trunc('second', started_at) AS started_at, step, subject, status, rows_in, rows_out, rows_set_aside, rows_failed,
  calls_paid, calls_saved, round(seconds, 1) AS seconds, error
FROM ({RUNS_TO_SHOW})
ORDER BY started_at DESC, run_id
LIMIT {{last}}
"""

# What `l2a grade` would grade: a rollout on a turn that the extractor left out, or could not read, never gets a grade.
_UNGRADED = """
SELECT r.*
FROM rollouts r
SEMI JOIN (
  FROM objectives WHERE extractor = (FROM newest_extractor) AND status = 'ok' AND dropped_reason IS NULL
) o ON o.session_id = r.session_id AND o.turn = r.turn AND o.dialogue_version = r.dialogue_version
ANTI JOIN (FROM grades WHERE extractor = (FROM newest_extractor) AND starts_with(grader, {grader})) g
  ON g.condition = r.condition AND g.session_id = r.session_id AND g.turn = r.turn AND g.sample = r.sample
  AND g.model_version = r.model_version AND g.dialogue_version = r.dialogue_version
WHERE r.status = 'ok'
"""

_WAITING = """
WITH newest AS (FROM newest_extractor)
SELECT 'dialogues not sliced' AS waiting, count(*) AS rows, 'l2a slice' AS next
FROM dialogues d
ANTI JOIN turns t ON t.session_id = d.session_id AND t.dialogue_version = d.dialogue_version
UNION ALL
SELECT 'usable turns without an objective' || coalesce(' of ' || (FROM newest), ''), count(*),
  'l2a extract' || coalesce((SELECT ' --extractor ' || extractor FROM newest WHERE starts_with(extractor, 'llm:')), '')
FROM turns t
ANTI JOIN (FROM objectives WHERE extractor = (FROM newest)) o
  ON o.session_id = t.session_id AND o.turn = t.turn AND o.dialogue_version = t.dialogue_version
WHERE t.dropped_reason IS NULL
UNION ALL
SELECT 'rollouts without a grade' || coalesce(' under ' || (FROM newest), ''), count(*),
  'l2a grade' || coalesce((SELECT ' --extractor ' || extractor FROM newest WHERE starts_with(extractor, 'llm:')), '')
FROM ({ungraded})
"""


def ungraded(grader: str) -> str:
    """SQL: the rollouts that wait for this grader (`embedded`, `llm`, or a full name)."""
    return _UNGRADED.format(grader=literal(grader))


@click.command("status", cls=Command)
@click.option("--last", type=click.IntRange(min=1), default=10, show_default=True, help="How many runs to show.")
@common
def command(last: int, config: str | None, warehouse: str | None) -> None:
    """The last runs: rows in, out, set aside, failed; calls paid and saved; and what waits."""
    settings = settings_of(config, warehouse)
    connection = connect(settings.warehouse, only=TABLES)
    waiting = _WAITING.format(ungraded=ungraded(settings.judge.grader))
    for title, sql in (("Last runs", LAST_RUNS.format(last=last)), ("What waits", waiting)):
        result = query(connection, sql)
        rows = list(result.rows)
        click.echo(title if rows else f"{title}: none")
        if rows:
            output.table(result.columns, iter(rows), sys.stdout)
        click.echo()


if __name__ == "__main__":
    command()
