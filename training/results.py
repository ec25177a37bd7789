"""What a grid found: its evaluation, its trainings and its answers, read from the tables."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from duckdb import DuckDBPyConnection

from l2a.conditions import GREEDY
from l2a.dialogue.types import Message
from l2a.metrics.table import show as show_table
from l2a.metrics.table import show_comparisons
from l2a.promotion.evidence import Evidence, Judged, Side
from l2a.sql import engine
from l2a.sql.types import literal
from training.recipes import BASELINE

Row = Mapping[str, Any]
_SEED = re.compile(r"-seed\d+")
EVALUATED = ("metrics", "metric_slices", "comparisons", "trainings")
ANSWERED = ("metrics", "graded_rollouts", "turns", "dialogues")


class Results:
    """Rows of an evaluation, each kind read when it is first asked for: the tables that every grid prints need
    no answer, and answers are many."""

    def __init__(self, warehouse: str, replicates: int, evaluation_id: str) -> None:
        """Without Spark. replicates: of the bootstrap, for what is compared here."""
        self._warehouse = warehouse
        self._mine = f"evaluation_id = {literal(evaluation_id)}"
        self._replicates = replicates
        self._evaluated = engine.connect(warehouse, EVALUATED)

    @cached_property
    def metrics(self) -> list[Row]:
        return _rows(self._evaluated, f"SELECT * FROM metrics WHERE {self._mine}")

    @cached_property
    def comparisons(self) -> list[Row]:
        """Differences to the grid's baseline: the same evaluation may hold others, to whatever was typed."""
        return _rows(self._evaluated, f"SELECT * FROM comparisons WHERE {self._mine} AND baseline = '{BASELINE}'")

    @cached_property
    def after_first(self) -> list[Row]:
        return _rows(
            self._evaluated,
            f"SELECT * FROM metric_slices WHERE {self._mine} AND slice = 'after_first_turn' AND slice_value = 'true'",
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
            " g.decision, g.r_a, t.context_end, d.messages[t.context_end].content AS said"
            " FROM graded_rollouts g JOIN turns t USING (session_id, turn, dialogue_version)"
            " JOIN dialogues d USING (session_id, dialogue_version)"
            " WHERE g.status = 'ok' AND g.split = 'eval' AND g.is_usable AND (g.extractor, g.grader) IN"
            f" (SELECT (extractor, grader) FROM metrics WHERE {self._mine})"
            " ORDER BY 1, 2, 3, 4",
        )

    @cached_property
    def messages(self) -> dict[str, list[Message]]:
        """The messages of each dialogue that has answers, by session."""
        found = _rows(
            engine.connect(self._warehouse, ANSWERED),
            "SELECT session_id, messages FROM dialogues WHERE session_id IN"
            " (SELECT session_id FROM graded_rollouts WHERE split = 'eval' AND is_usable)",
        )
        return {row["session_id"]: [Message(m["role"], m["content"]) for m in row["messages"]] for row in found}

    @cached_property
    def _sides(self) -> dict[str, tuple[Side, Side]]:
        return _sides({row["condition"] for row in self.metrics})

    @cached_property
    def _evidence(self) -> Evidence:
        judged = Judged(*(self.metrics[0][name] for name in ("extractor", "grader", "beta")))
        return Evidence(self._warehouse, judged)

    def _compared(self, *, after_first: bool) -> list[Row]:
        return [
            {**dataclasses.asdict(found), "condition": name}
            for name, (mine, theirs) in self._sides.items()
            for found in self._evidence.differences(mine, theirs, self._replicates, after_first=after_first)
        ]


def read(warehouse: str, replicates: int, evaluation_id: str) -> Results:
    """An evaluation of a warehouse."""
    return Results(warehouse, replicates, evaluation_id)


def _rows(connection: DuckDBPyConnection, sql: str) -> list[Row]:
    return list(engine.query(connection, sql).dicts())


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
