"""Whether it is time to train again: a rule over the tables, one SQL query.

l2a retrain-due
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json

import click

from l2a.options import Command, common, settings_of
from l2a.settings import RetrainSettings
from l2a.sql.engine import connect, query
from l2a.sql.types import literal

RULE = """
WITH usable AS (
  SELECT count(*) AS turns
  FROM turns t
  JOIN objectives o ON o.session_id = t.session_id AND o.turn = t.turn AND o.dialogue_version = t.dialogue_version
  WHERE t.split = 'train' AND t.dropped_reason IS NULL AND o.status = 'ok' AND o.dropped_reason IS NULL
    AND o.extractor = (FROM newest_extractor)
)
SELECT
  u.turns AS usable_turns,
  coalesce(g.new_turns, u.turns) AS new_turns,
  g.new_share,
  g.condition,
  date_diff('second', g.trained_at, {now}::TIMESTAMPTZ) / 86400.0 AS days,
  (
    coalesce(g.new_turns, u.turns) >= {min_new_turns} OR coalesce(g.new_share, 0) >= {min_new_share}
  ) AS grown,
  coalesce(date_diff('second', g.trained_at, {now}::TIMESTAMPTZ) / 86400.0 >= {min_days}, true) AS rested
FROM usable u
LEFT JOIN (FROM retrain_growth WHERE method = {method}) g ON true
"""


@dataclasses.dataclass(frozen=True)
class Decision:
    """Whether to train, and the sentence that says why or why not."""

    due: bool
    why: str
    usable_turns: int
    new_turns: int
    new_share: float | None
    """Of the usable turns of the last training; None: there was none."""
    days: float | None
    """Since the last training; None: there was none."""


def decide(warehouse: str, settings: RetrainSettings, now: dt.datetime) -> Decision:
    """Applies the rule of the settings. Due: grown by enough turns or by a large enough share, and long enough ago."""
    sql = RULE.format(
        now=literal(now.isoformat()),
        method=literal(settings.method),
        min_new_turns=settings.min_new_turns,
        min_new_share=settings.min_new_share,
        min_days=settings.min_days,
    )
    row = next(query(connect(warehouse), sql).dicts())
    new, share, days = int(row["new_turns"]), row["new_share"], row["days"]
    needed = f"needed are {settings.min_new_turns:,} or {settings.min_new_share:.0%}"
    if row["condition"] is None:
        gained = f"{new:,} usable turns and no {settings.method} trained yet"
    else:
        by = f" ({share:+.1%})" if share is not None else ""
        gained = f"{new:+,} usable turns{by} since {row['condition']}"
    if not row["grown"]:
        why = f"not due: {gained}; {needed}"
    elif not row["rested"]:
        why = f"not due: {gained}, but it was trained {days:.1f} days ago; needed are {settings.min_days:g} days"
    else:
        why = f"due: {gained}; {needed}"
    return Decision(bool(row["grown"] and row["rested"]), why, int(row["usable_turns"]), new, share, days)


def condition_name(method: str, day: dt.date, taken: set[str]) -> str:
    """The condition of a retraining: METHOD-YYYYMMDD, and -2, -3, ... where a finished training has that name."""
    name = f"{method}-{day:%Y%m%d}"
    number = 1
    while (candidate := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return candidate


def trained_conditions(warehouse: str) -> set[str]:
    """Conditions that have a finished training."""
    rows = query(connect(warehouse, only=("trainings",)), "SELECT DISTINCT condition FROM trainings").rows
    return {str(condition) for (condition,) in rows}


@click.command("retrain-due", cls=Command)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@common
def command(form: str, config: str | None, warehouse: str | None) -> None:
    """Whether it is time to train again, and why, by the settings of section [retrain]."""
    settings = settings_of(config, warehouse)
    decision = decide(settings.warehouse, settings.retrain, dt.datetime.now(dt.UTC))
    click.echo(decision.why if form == "text" else json.dumps(dataclasses.asdict(decision)))


if __name__ == "__main__":
    command()
