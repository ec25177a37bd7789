"""What a step would ask of its endpoints, before it pays: calls, tokens, money, from a sample of the dialogues.

l2a estimate extract --endpoint http://127.0.0.1:8000/v1 --model judge --model-version 3
l2a estimate rollout --condition base --samples 5 --endpoint ... --model policy --model-version 7
l2a estimate grade --endpoint ... --model judge --model-version 3
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import click
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from l2a.conditions import BUILT_IN
from l2a.errors import UsageError
from l2a.llm.estimate import Needed, bytes_per_token, needed
from l2a.llm.prompts.grading import LONGEST_ANSWER
from l2a.llm.request import ChatRequest
from l2a.options import Command, common
from l2a.settings import Settings
from l2a.tables.contract import Contract
from l2a.tables.contracts import DIALOGUES, GRADES, LLM_CALLS, OBJECTIVES, ROLLOUTS, TURNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.calls import drain, unanswered
from spark_jobs.command import llm_given, llm_options, start
from spark_jobs.grade import questions
from spark_jobs.judging import resolve
from spark_jobs.llm_judging import extraction_of, extraction_rows, grading_of, llm_judge
from spark_jobs.llm_policy import llm_policy, policy_rows, rollout_of
from spark_jobs.requesting import with_requests
from spark_jobs.rollout import SPLITS, usable

SAMPLE = 100
"""Dialogues whose prompts are made; all of them where there are fewer than twice as many."""
MOST = 2000
"""Prompts that are looked at, of those; they pass through the driver."""

OPTIONS = {
    "condition": ("grade", "rollout"),
    "samples": ("rollout",),
    "greedy": ("rollout",),
    "split": ("rollout",),
    "extractor": ("grade",),
}
"""Which steps an option is for."""

Need = tuple[DataFrame, Callable[[Mapping[str, Any]], ChatRequest], Contract, int]
"""Rows that need a call, the request of each, the table that refers to such calls, and the longest answer (tokens)."""


def estimate(warehouse: Warehouse, settings: Settings, step: str, **options: Any) -> Needed:
    """What the step would ask now. Raises what the step itself raises for its settings."""
    warehouse.ensure(LLM_CALLS)
    drain(warehouse)
    rows, make, behind, longest = _NEEDS[step](warehouse, settings, **options)
    everything = rows.agg(F.count("*").alias("rows"), F.count_distinct("session_id").alias("sessions")).first()
    assert everything is not None
    part = max(1, everything["sessions"] // SAMPLE)
    sampled = rows.where(F.pmod(F.xxhash64("session_id"), F.lit(part)) == 0)
    key = [name for name in ("condition", "session_id", "turn", "sample") if name in rows.columns]
    requests = with_requests(sampled, key, make).persist()
    distinct = requests.groupBy("request_id").agg(F.min(F.struct("session_id", "turn", "sample", "request")).alias("r"))
    asked = unanswered(warehouse, distinct, settings.llm.max_runs).select("r.*").orderBy("session_id", "turn", "sample")
    seen, waiting = requests.count(), asked.count()
    lines = [row["request"] for row in asked.limit(MOST).collect()]
    requests.unpersist()
    scale = everything["rows"] / seen * waiting / len(lines) if lines else 1.0
    return needed(
        [ChatRequest.from_json(line) for line in lines],
        settings.llm,
        rows=everything["rows"],
        scale=scale,
        bytes_per_token=bytes_per_token(settings.llm, lines),
        answer_tokens=_usual_answer(warehouse, behind, settings.llm.model),
        longest_answer=longest,
    )


def _usual_answer(warehouse: Warehouse, behind: Contract, model: str | None) -> float | None:
    """Mean completion tokens of earlier calls of the same kind and model; None: there are none."""
    calls = warehouse.read_or_empty(LLM_CALLS).where((F.col("status") == "ok") & (F.col("model") == model))
    same = calls.join(warehouse.read_or_empty(behind).select("request_id").distinct(), "request_id", "left_semi")
    row = same.agg(F.avg("completion_tokens")).first()
    return None if row is None or row[0] is None else float(row[0])


def _extract(warehouse: Warehouse, settings: Settings, **_: Any) -> Need:
    judge = llm_judge(settings.judge, settings.llm)
    turns = warehouse.read(TURNS).where("dropped_reason IS NULL")
    rows, _key = extraction_rows(judge, turns, warehouse.read(DIALOGUES))
    return rows, lambda row: extraction_of(judge, row), OBJECTIVES, settings.judge.extraction_max_tokens


def _grade(warehouse: Warehouse, settings: Settings, *, condition: str | None, **_: Any) -> Need:
    judge = llm_judge(settings.judge, settings.llm)
    extractor = resolve(warehouse, settings.judge.extractor, "extractor")
    rows = questions(warehouse, extractor, condition)
    return rows, lambda row: grading_of(judge, row), GRADES, LONGEST_ANSWER


def _rollout(warehouse: Warehouse, settings: Settings, *, split: str, greedy: bool, **_: Any) -> Need:
    model = llm_policy(settings.evaluate, settings.llm, greedy=greedy)
    rows = policy_rows(model, usable(warehouse).where(F.col("split") == split))
    return rows, lambda row: rollout_of(model, row), ROLLOUTS, settings.evaluate.rollout_max_tokens


_NEEDS: dict[str, Callable[..., Need]] = {"extract": _extract, "grade": _grade, "rollout": _rollout}


def show(step: str, found: Needed) -> None:
    """Prints the estimate to standard output."""
    table = Table(title=f"{step}: what it would ask now", title_justify="left")
    table.add_column("what")
    table.add_column("about", justify="right")
    table.add_column("known from")
    for what, amount, source in found.lines():
        table.add_row(
            what, f"{math.ceil(amount):,}" if amount >= 100 or amount == int(amount) else f"{amount:,.2f}", source
        )
    Console(width=100).print(table)


@click.command(cls=Command)
@click.argument("step", type=click.Choice(sorted(_NEEDS)))
@click.option("--condition", metavar="NAME", help="grade: only this condition [all]. rollout: its policy.")
@click.option("--samples", type=click.IntRange(1, 1000), help="rollout: samples a turn [default: 5].")
@click.option("--split", type=click.Choice(SPLITS), help="rollout: turns of this split [default: eval].")
@click.option("--greedy", is_flag=True, help="rollout: one sample at temperature 0.")
@click.option("--extractor", metavar="NAME", help="grade: whose objectives [default: embedded].")
@llm_options
@common
def command(
    step: str,
    condition: str | None,
    samples: int | None,
    split: str | None,
    greedy: bool,
    extractor: str | None,
    config: str | None,
    warehouse: str | None,
    **llm: Any,
) -> None:
    """Calls, tokens and money that a step would pay for, before it pays."""
    given = {
        "condition": condition,
        "samples": samples,
        "greedy": greedy or None,
        "split": split,
        "extractor": extractor,
    }
    if foreign := [name for name, value in given.items() if value is not None and step not in OPTIONS[name]]:
        raise UsageError(f"--{foreign[0]} says nothing about {step}; it is for {' and '.join(OPTIONS[foreign[0]])}")
    if step == "rollout" and condition in BUILT_IN:
        raise UsageError(f"the built-in condition {condition} asks no LLM")
    settings, tables = start(
        config, warehouse, evaluate={"samples": samples}, judge={"extractor": extractor}, llm=llm_given(**llm)
    )
    show(step, estimate(tables, settings, step, condition=condition, split=split or "eval", greedy=greedy))


if __name__ == "__main__":
    command()
