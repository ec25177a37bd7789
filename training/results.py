"""What a grid found: the metric table, turns after the first, differences, signs of hacking, answers side by side."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import platform
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from duckdb import DuckDBPyConnection

from l2a.conditions import GREEDY
from l2a.judge.keywords import KeywordGrader
from l2a.judge.protocols import Question
from l2a.metrics.definitions import METRICS
from l2a.metrics.table import show as show_table
from l2a.metrics.table import show_comparisons
from l2a.promotion.evidence import Evidence, Side
from l2a.sql import engine
from training.recipes import BASELINE, Recipe

Row = Mapping[str, Any]
SHOWN_TURNS = 20
_SEED = re.compile(r"-seed\d+")
EVALUATED = ("metrics", "metric_table", "metric_slices", "comparisons", "trainings")
ANSWERED = ("metrics", "metric_table", "graded_rollouts", "turns", "dialogues")
_NEWEST = """evaluation_id = (
    SELECT evaluation_id FROM metric_table WHERE is_newest ORDER BY evaluated_at DESC LIMIT 1)"""


class Results:
    """Rows of the newest evaluation, each kind read when it is first asked for: the tables that every grid prints need
    no answer, and answers are many."""

    def __init__(self, warehouse: str, replicates: int) -> None:
        """Without Spark. replicates: of the bootstrap, for what is compared here."""
        self._warehouse = warehouse
        self._replicates = replicates
        self._evaluated = engine.connect(warehouse, EVALUATED)

    @cached_property
    def metrics(self) -> list[Row]:
        return _rows(self._evaluated, f"SELECT * FROM metrics WHERE {_NEWEST}")

    @cached_property
    def comparisons(self) -> list[Row]:
        """Differences to the grid's baseline: the same evaluation may hold others, to whatever was typed."""
        return _rows(self._evaluated, f"SELECT * FROM comparisons WHERE {_NEWEST} AND baseline = '{BASELINE}'")

    @cached_property
    def after_first(self) -> list[Row]:
        return _rows(
            self._evaluated,
            f"SELECT * FROM metric_slices WHERE {_NEWEST} AND slice = 'after_first_turn' AND slice_value = 'true'",
        )

    @cached_property
    def after_first_comparisons(self) -> list[Row]:
        """Differences on the turns after the first, of all seeds of a method together, to the baseline's seeds
        together; answers at temperature 0 to the baseline's at temperature 0."""
        return self._compared(after_first=True)

    @cached_property
    def pooled_comparisons(self) -> list[Row]:
        """The same on all turns; empty where each method has one seed."""
        several = any(len(side.conditions) > 1 for pair in self._sides.values() for side in pair)
        return self._compared(after_first=False) if several else []

    @cached_property
    def trainings(self) -> list[Row]:
        """Each condition's newest training."""
        return _rows(
            self._evaluated,
            "SELECT condition, steps, trained_turns, usable_turns, seconds, model_version FROM trainings"
            " QUALIFY row_number() OVER (PARTITION BY condition ORDER BY created_at DESC) = 1 ORDER BY condition",
        )

    @cached_property
    def answers(self) -> list[Row]:
        """Graded rollouts, each with what was said last before it."""
        return _rows(
            engine.connect(self._warehouse, ANSWERED),
            "SELECT g.condition, g.session_id, g.turn, g.sample, g.domain, g.information, g.target, g.text,"
            " g.decision, g.r_a, d.messages[t.context_end].content AS said"
            " FROM graded_rollouts g JOIN turns t USING (session_id, turn, dialogue_version)"
            " JOIN dialogues d USING (session_id, dialogue_version)"
            " WHERE g.status = 'ok' AND g.split = 'eval' AND g.is_usable AND (g.extractor, g.grader) IN"
            f" (SELECT (extractor, grader) FROM metrics WHERE {_NEWEST})"
            " ORDER BY 1, 2, 3, 4",
        )

    @cached_property
    def _sides(self) -> dict[str, tuple[Side, Side]]:
        return _sides({row["condition"] for row in self.metrics})

    @cached_property
    def _evidence(self) -> Evidence:
        return Evidence(self._warehouse)

    def _compared(self, *, after_first: bool) -> list[Row]:
        return [
            {**dataclasses.asdict(found), "condition": name}
            for name, (mine, theirs) in self._sides.items()
            for found in self._evidence.differences(mine, theirs, self._replicates, after_first=after_first)
        ]


def read(warehouse: str, replicates: int) -> Results:
    """The newest evaluation of a warehouse."""
    return Results(warehouse, replicates)


def _rows(connection: DuckDBPyConnection, sql: str) -> list[Row]:
    found = connection.execute(sql)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _sides(conditions: Iterable[str]) -> dict[str, tuple[Side, Side]]:
    """What is compared with what, by name: all seeds of a method with all seeds of the baseline."""
    seeds: dict[str, list[str]] = defaultdict(list)
    for condition in sorted(conditions):
        seeds[_SEED.sub("", condition)].append(condition)
    found = {}
    for name, mine in seeds.items():
        baseline = BASELINE + (GREEDY if name.endswith(GREEDY) else "")
        if name != baseline and baseline in seeds:
            found[name] = Side(tuple(mine)), Side(tuple(seeds[baseline]))
    return found


def show(results: Results) -> None:
    """Prints the tables to standard output."""
    show_table(results.metrics)
    show_comparisons(results.comparisons)


def page(results: Results, recipe: Recipe, typed: str, taken: Mapping[str, float]) -> str:
    """The page in Markdown: every figure of it comes from the tables of the warehouse."""
    first = results.metrics[0]
    minutes = sum(taken.values()) / 60
    lines = [
        f"# Results: {recipe.name}",
        "",
        f"Made by `{typed}` in {minutes:.0f} minutes (less where something was trained already) on "
        f"{os.cpu_count()} cores ({platform.machine()}). The recipe: {recipe.about}",
        "",
        f"Extractor and grader: {first['extractor']}, {first['grader']}; beta {first['beta']:g}; "
        f"{first['dropped_share']:.1%} of the eval turns are left out. Values with 95 % intervals over dialogues. "
        "Conditions with `@greedy` answered at temperature 0, the others at 1.",
        "",
        "## All turns",
        "",
        *_metric_lines(results.metrics),
        "",
        "## Turns after the first",
        "",
        *_metric_lines(results.after_first),
        "",
        *_difference_lines(f"Differences to {BASELINE}", "On the same turns, paired by dialogue.", results.comparisons),
        *_difference_lines(
            f"Differences to {BASELINE}, all seeds together",
            "Each turn's answers of all seeds of both. Paired by dialogue.",
            results.pooled_comparisons,
        ),
        *_difference_lines(
            f"Differences to {BASELINE}, turns after the first",
            "All seeds of a method together, at temperature 0 to the baseline at temperature 0. Paired by dialogue.",
            results.after_first_comparisons,
        ),
        "## Signs of hacking",
        "",
        "Over questions asked at CONTINUE turns. *most frequent*: the share of the most frequent question within its "
        "domain, over all domains. *second grader*: how often the grader by words, which pays nothing, agrees whether "
        "an item is asked for.",
        "",
        *_hacking_lines(results.answers),
        "",
        "## Trainings",
        "",
        "Optimizer steps of the last stage and the turns that it saw; minutes of all stages that it made itself "
        "(stages that conditions share are made by the first).",
        "",
        "| condition | steps | turns | of usable turns | minutes | model version |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row['condition']} | {row['steps']:,} | {row['trained_turns']:,} | {row['usable_turns']:,} "
            f"| {row['seconds'] / 60:.1f} | {row['model_version']} |"
            for row in results.trainings
        ),
        "",
        "## Minutes of this run",
        "",
        "| step | minutes |",
        "|---|---|",
        *(f"| {step} | {seconds / 60:.1f} |" for step, seconds in taken.items()),
        "",
        f"## {SHOWN_TURNS} turns side by side",
        "",
        "Picked by the smallest hash of session and turn; the first sample of each condition.",
        "",
        *_side_by_side(results.answers),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _metric_lines(rows: Iterable[Row]) -> list[str]:
    by_condition: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        by_condition[row["condition"]][row["metric"]] = row
    lines = [f"| condition | {' | '.join(METRICS)} | rollouts | dialogues |", "|---|" + "---|" * (len(METRICS) + 2)]
    for name in sorted(by_condition, key=lambda name: -(by_condition[name]["TR"]["value"] or 0)):
        metrics = by_condition[name]
        cells = " | ".join(_cell(metrics.get(metric), "value") for metric in METRICS)
        lines.append(f"| {name} | {cells} | {metrics['TR']['n']:,} | {metrics['TR']['n_dialogues']:,} |")
    return lines


def _difference_lines(title: str, about: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    by_condition: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        by_condition[row["condition"]][row["metric"]] = row
    lines = [
        f"## {title}",
        "",
        about,
        "",
        f"| condition | {' | '.join(METRICS)} |",
        "|---|" + "---|" * len(METRICS),
    ]
    for name, metrics in sorted(by_condition.items()):
        lines.append(f"| {name} | {' | '.join(_cell(metrics.get(metric), 'difference') for metric in METRICS)} |")
    return [*lines, ""]


def _cell(row: Row | None, column: str) -> str:
    if row is None or row[column] is None:
        return "-"
    if row["ci_low"] is None:
        return f"{row[column]:.3f}"
    return f"{row[column]:.3f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"


def _hacking_lines(answers: Sequence[Row]) -> list[str]:
    lines = ["| condition | questions | most frequent | second grader agrees | with R_a 0 |", "|---|---|---|---|---|"]
    asked: dict[str, list[Row]] = defaultdict(list)
    for row in answers:
        if row["target"] == row["decision"] == "CONTINUE" and row["text"].strip():
            asked[row["condition"]].append(row)
    grader = KeywordGrader()
    for name, rows in sorted(asked.items()):
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for row in rows:
            counts[row["domain"] or ""][row["text"].strip()] += 1
        most = sum(max(of.values()) for of in counts.values()) / len(rows)
        second = grader.grade([Question(row["text"], tuple(row["information"])) for row in rows])
        agrees = sum((row["r_a"] > 0) == ((two.r_a or 0) > 0) for row, two in zip(rows, second, strict=True))
        nothing = sum(row["r_a"] == 0 for row in rows) / len(rows)
        lines.append(f"| {name} | {len(rows):,} | {most:.1%} | {agrees / len(rows):.1%} | {nothing:.1%} |")
    return lines


def _side_by_side(answers: Sequence[Row]) -> list[str]:
    places: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in answers:
        if row["sample"] == 0:
            places[row["session_id"], row["turn"]].append(row)
    picked = sorted(places, key=lambda place: hashlib.sha256(f"{place[0]} {place[1]}".encode()).digest())
    lines: list[str] = []
    for session, turn in picked[:SHOWN_TURNS]:
        rows = places[session, turn]
        first = rows[0]
        wanted = "; ".join(first["information"]) or "nothing is left to ask: STOP"
        lines += [
            f"**{_text(session)}, turn {turn}** ({_text(first['domain'] or 'no domain')}). Last said: "
            f"{_text(first['said'])}. Worth asking: {_text(wanted)}",
            "",
            "| condition | answer | R_a |",
            "|---|---|---|",
            *(f"| {row['condition']} | {_text(row['text'])} | {row['r_a']:g} |" for row in rows),
            "",
        ]
    return lines


def _text(text: str | None) -> str:
    """Other people's words in a cell of a Markdown table: on one line, and nothing in them is markup."""
    line = " ".join((text or "").split())[:200]
    for mark in "\\`*_[]<>|#":
        line = line.replace(mark, f"\\{mark}")
    return line
