"""What a step would ask of its endpoints, before it pays: calls, tokens, money, from a sample of the dialogues.

l2a estimate extract --endpoint http://127.0.0.1:8000/v1 --model judge --model-version 3
l2a estimate rollout --condition base --samples 5 --endpoint ... --model policy --model-version 7
l2a estimate grade --endpoint ... --model judge --model-version 3
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from l2a.conditions import BUILT_IN, GREEDY
from l2a.errors import UsageError
from l2a.llm.estimate import Needed, bytes_per_token, needed
from l2a.llm.prompts.grading import LONGEST_ANSWER
from l2a.llm.request import ChatRequest
from l2a.options import Command, common
from l2a.settings import Settings
from l2a.settings.llm import LLMSettings
from l2a.tables.contract import Contract
from l2a.tables.contracts import DIALOGUES, GRADES, LLM_CALLS, OBJECTIVES, ROLLOUTS, TURNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.answering import answerer, asked_of, registry_of
from spark_jobs.calls import distinct, drain, unanswered
from spark_jobs.command import llm_given, llm_options, start
from spark_jobs.grade import questions
from spark_jobs.judging import resolve
from spark_jobs.llm_judging import extraction_of, extraction_rows, grading_of, llm_judge
from spark_jobs.llm_policy import KEY, LLMPolicy, policy_rows, rollout_of
from spark_jobs.requesting import with_requests
from spark_jobs.rollout import SPLITS, usable

SAMPLE = 100
"""Dialogues with a result, and as many without, whose prompts are made; all of them under twice as many."""
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

HAS_RESULT = "has_result"
NO_RESULT, WITH_RESULT = False, True


@dataclass(frozen=True)
class Need:
    """What a step would ask for."""

    rows: DataFrame
    """Of each: whether the step's table holds a good result (HAS_RESULT), and what its request is made of."""
    make: Callable[[Mapping[str, Any]], ChatRequest]
    llm: LLMSettings
    alike: DataFrame
    """Rows of the step's table that such calls are behind, by any version of the model."""
    longest: int
    """Tokens of an answer, at most."""


def estimate(warehouse: Warehouse, settings: Settings, step: str, **options: Any) -> Needed | None:
    """What the step would ask now; None: it asks no endpoint. Raises what the step itself raises for its settings.

    Rows with a good result and rows without are sampled apart. Among many that are done, a few new ones would be missed
    by a sample of all; and rows that are done are asked again where what was asked has changed since (a temperature, an
    information set), which any sample of them shows.
    """
    warehouse.ensure(LLM_CALLS)
    drain(warehouse)
    need = _NEEDS[step](warehouse, settings, **options)
    if need is None:
        return None
    by_kind = need.rows.groupBy(HAS_RESULT)
    there = {
        row[HAS_RESULT]: row
        for row in by_kind.agg(F.count("*").alias("rows"), F.count_distinct("session_id").alias("sessions")).collect()
    }
    key = [name for name in ("condition", "session_id", "turn", "sample", HAS_RESULT) if name in need.rows.columns]
    requests = with_requests(need.rows.where(_sampled(there)), key, need.make).persist()
    waiting = unanswered(warehouse, distinct(requests), need.llm.max_runs).persist()
    seen = {row[HAS_RESULT]: row["count"] for row in requests.groupBy(HAS_RESULT).count().collect()}
    scale = {kind: there[kind]["rows"] / seen[kind] for kind in seen}
    open_calls = (
        requests.join(waiting.select("request_id"), "request_id")
        .groupBy("request_id")
        .agg(F.min(HAS_RESULT).alias(HAS_RESULT), F.count("*").alias("rows"))
        .groupBy(HAS_RESULT)
        .agg(F.count("*").alias("calls"), F.sum("rows").alias("rows"))
        .collect()
    )
    calls = sum(scale[row[HAS_RESULT]] * row["calls"] for row in open_calls)
    again = sum(scale[WITH_RESULT] * row["rows"] for row in open_calls if row[HAS_RESULT])
    asked = waiting.orderBy("session_id", "turn", "sample").limit(MOST).select("request")
    lines = [row["request"] for row in asked.collect()]
    waiting.unpersist()
    requests.unpersist()
    return needed(
        [ChatRequest.from_json(line) for line in lines],
        need.llm,
        rows=round(again) + (there[NO_RESULT]["rows"] if NO_RESULT in there else 0),
        scale=calls / len(lines) if lines else 1.0,
        bytes_per_token=bytes_per_token(need.llm, lines),
        answer_tokens=_usual_answer(warehouse, need.alike, need.llm.model),
        longest_answer=need.longest,
    )


def _sampled(there: Mapping[bool, Row]) -> Column:
    """About SAMPLE dialogues of each kind of rows."""
    chosen = F.lit(False)
    for kind, row in there.items():
        part = max(1, row["sessions"] // SAMPLE)
        picked = F.pmod(F.xxhash64("session_id"), F.lit(part)) == 0
        chosen = chosen | ((F.col(HAS_RESULT) == kind) & picked)
    return chosen


def _usual_answer(warehouse: Warehouse, alike: DataFrame, model: str | None) -> float | None:
    """Mean completion tokens of earlier calls of the same kind and model; None: there are none."""
    calls = warehouse.read_or_empty(LLM_CALLS).where((F.col("status") == "ok") & (F.col("model") == model))
    same = calls.join(alike.select("request_id").distinct(), "request_id", "left_semi")
    row = same.agg(F.avg("completion_tokens")).first()
    return None if row is None or row[0] is None else float(row[0])


def _marked(rows: DataFrame, results: DataFrame, key: list[str]) -> DataFrame:
    """Adds HAS_RESULT: whether `results` has the row's key."""
    found = results.select(*key).distinct().withColumn(HAS_RESULT, F.lit(True))
    return rows.join(found, key, "left").fillna(False, [HAS_RESULT])


def _results(warehouse: Warehouse, table: Contract, **made_by: str) -> DataFrame:
    """The table's good rows of a judge or a policy."""
    rows = warehouse.read_or_empty(table).where("status = 'ok'")
    for column, value in made_by.items():
        rows = rows.where(F.col(column) == value)
    return rows


def _asked_alike(warehouse: Warehouse, table: Contract, judge: str, name: str) -> DataFrame:
    """The table's rows by LLM judges that are asked in the same form."""
    return warehouse.read_or_empty(table).where(F.col(judge).endswith(":" + name.rsplit(":", 1)[1]))


def _extract(warehouse: Warehouse, settings: Settings, **_: Any) -> Need:
    judge = llm_judge(settings.judge, settings.llm)
    turns = warehouse.read(TURNS).where("dropped_reason IS NULL")
    rows, key = extraction_rows(judge, turns, warehouse.read(DIALOGUES))
    # A call may be a dialogue's: it is done when each of its turns is.
    done = _results(warehouse, OBJECTIVES, extractor=judge.extractor)
    left = turns.join(done, ["session_id", "turn", "dialogue_version"], "left_anti")
    without, _key = extraction_rows(judge, left, warehouse.read(DIALOGUES))
    rows = _marked(rows, rows.join(without.select(*key), key, "left_anti"), key)
    alike = _asked_alike(warehouse, OBJECTIVES, "extractor", judge.extractor)
    return Need(rows, lambda row: extraction_of(judge, row), judge.llm, alike, settings.judge.extraction_max_tokens)


def _grade(warehouse: Warehouse, settings: Settings, *, condition: str | None, **_: Any) -> Need:
    judge = llm_judge(settings.judge, settings.llm)
    extractor = resolve(warehouse, settings.judge.extractor, "extractor")
    done = _results(warehouse, GRADES, extractor=extractor, grader=judge.grader)
    key = ["condition", "model_version", "session_id", "turn", "dialogue_version", "sample"]
    rows = _marked(questions(warehouse, extractor, condition), done, key)
    alike = _asked_alike(warehouse, GRADES, "grader", judge.grader)
    return Need(rows, lambda row: grading_of(judge, row), judge.llm, alike, LONGEST_ANSWER)


def _rollout(
    warehouse: Warehouse,
    settings: Settings,
    *,
    condition: str | None,
    split: str,
    greedy: bool,
    given: Mapping[str, Any],
) -> Need | None:
    if condition is None:
        raise UsageError("estimate rollout: give --condition NAME, the policy that would be asked")
    llm = asked_of(condition, settings.llm, given)
    registry = None if condition in BUILT_IN else registry_of(settings, served=bool(llm.endpoints))
    model = answerer(condition, settings.evaluate, llm, registry, greedy=greedy)
    if not isinstance(model, LLMPolicy):
        return None
    name = condition + GREEDY if greedy else condition
    done = _results(warehouse, ROLLOUTS, condition=name, model_version=model.model_version)
    rows = _marked(policy_rows(model, usable(warehouse).where(F.col("split") == split)), done, KEY)
    alike = warehouse.read_or_empty(ROLLOUTS).where(F.col("condition") == name)
    return Need(rows, lambda row: rollout_of(model, row), model.llm, alike, settings.evaluate.rollout_max_tokens)


_NEEDS: dict[str, Callable[..., Need | None]] = {"extract": _extract, "grade": _grade, "rollout": _rollout}


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
    named = llm_given(**llm)
    settings, tables = start(
        config, warehouse, evaluate={"samples": samples}, judge={"extractor": extractor}, llm=named
    )
    found = estimate(tables, settings, step, condition=condition, split=split or "eval", greedy=greedy, given=named)
    if found is None:
        click.echo(f"{step} {condition}: answered without an endpoint, no call is paid")
    else:
        show(step, found)


if __name__ == "__main__":
    command()
