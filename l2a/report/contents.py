"""What the report shows: rows of tables and views, of the newest evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from l2a.metrics.newest import newest_evaluation
from l2a.settings import Settings
from l2a.sql.engine import connect, query
from l2a.sql.status import RUNS_TO_SHOW
from l2a.sql.types import literal

Row = Mapping[str, Any]
TABLES = (
    "metrics", "metric_slices", "comparisons", "dialogue_funnel", "drop_reasons", "quarantine_reasons", "runs",
    "graded_rollouts", "turns", "dialogues",
)  # fmt: skip
SLICES = ("after_first_turn", "turn_number", "domain")
SHOWN_CHARACTERS = 1_000
"""Of a message or a rollout; what is cut says so."""


@dataclass(frozen=True)
class Evaluation:
    """Which rows belong together."""

    evaluation_id: str
    extractor: str
    grader: str
    beta: float
    created_at: Any


class Contents:
    """The newest evaluation of a warehouse, and the tables around it."""

    def __init__(self, settings: Settings) -> None:
        """Raises UsageError where the warehouse is no folder."""
        self._connection = connect(settings.warehouse, only=TABLES)
        row = next(self._rows(newest_evaluation(settings)), None)
        names = Evaluation.__dataclass_fields__
        self.evaluation = None if row is None else Evaluation(**{name: row[name] for name in names})

    def metrics(self) -> list[Row]:
        """One row per condition and metric."""
        return list(self._rows(f"SELECT * FROM metrics WHERE {self._this()} ORDER BY condition, metric"))

    def comparisons(self) -> list[Row]:
        """One row per baseline, condition and metric: for each baseline the newest that its judges and beta have."""
        sql = f"""
            SELECT * FROM comparisons WHERE {self._judged()} AND beta = {literal(repr(self._chosen.beta))}::DOUBLE
            QUALIFY dense_rank() OVER (PARTITION BY baseline ORDER BY created_at DESC, evaluation_id) = 1
            ORDER BY baseline, condition, metric
        """
        return list(self._rows(sql))

    def slices(self, name: str) -> list[Row]:
        """One row per value of a slice, condition and metric."""
        where = f"{self._this()} AND slice = {literal(name)}"
        return list(self._rows(f"SELECT * FROM metric_slices WHERE {where} ORDER BY slice_value, condition, metric"))

    def funnel(self) -> list[Row]:
        return list(self._rows(f"SELECT * FROM dialogue_funnel {self._of_extractor()} ORDER BY domain NULLS LAST"))

    def drop_reasons(self) -> list[Row]:
        return list(self._rows(f"SELECT * FROM drop_reasons {self._of_extractor()} ORDER BY split, turns DESC, reason"))

    def quarantine(self) -> list[Row]:
        return list(self._rows("SELECT * FROM quarantine_reasons ORDER BY lines DESC, reason_kind"))

    def runs(self, most: int) -> list[Row]:
        """The last runs of the steps."""
        return list(self._rows(f"SELECT * FROM ({RUNS_TO_SHOW}) ORDER BY started_at DESC, run_id LIMIT {most}"))

    def rollouts(self, most: int) -> list[Row]:
        """Graded rollouts of sample 0 at a few turns, all conditions of each turn together.

        The turns are the first by a hash of session and turn among all usable graded eval turns: picked by a rule that
        knows nothing of the answers.
        """
        graded = f"split = 'eval' AND is_usable AND {self._judged()}"
        sql = f"""
            WITH picked AS (
                SELECT session_id, turn, md5(session_id || '/' || turn) AS place
                FROM (SELECT DISTINCT session_id, turn FROM graded_rollouts WHERE {graded})
                ORDER BY place, session_id, turn LIMIT {most}
            )
            SELECT
                p.place, p.session_id, p.turn, g.domain, g.target, g.information, g.condition, g.r_a, g.r_s, g.omega,
                g.decision, g.error, {_cut("d.messages[t.context_end].content")} AS last_message,
                d.messages[t.context_end].role AS last_role, {_cut("g.text")} AS text
            FROM picked p
            JOIN graded_rollouts g ON g.session_id = p.session_id AND g.turn = p.turn AND g.sample = 0 AND {graded}
            JOIN turns t ON t.session_id = p.session_id AND t.turn = p.turn
            JOIN dialogues d ON d.session_id = p.session_id
            ORDER BY p.place, p.session_id, p.turn, g.condition
        """
        return list(self._rows(sql))

    def _rows(self, sql: str) -> Iterator[Row]:
        return query(self._connection, sql).dicts()

    def _this(self) -> str:
        return f"evaluation_id = {literal(self._chosen.evaluation_id)} AND {self._judged()}"

    def _judged(self) -> str:
        chosen = self._chosen
        return f"extractor = {literal(chosen.extractor)} AND grader = {literal(chosen.grader)}"

    def _of_extractor(self) -> str:
        """The evaluation's extractor; before any evaluation all of them."""
        return "" if self.evaluation is None else f"WHERE extractor = {literal(self.evaluation.extractor)}"

    @property
    def _chosen(self) -> Evaluation:
        assert self.evaluation is not None, "asked only where there is an evaluation"
        return self.evaluation


def _cut(text: str) -> str:
    """SQL: the text, or its beginning and a sign that it goes on."""
    return (
        f"CASE WHEN length({text}) > {SHOWN_CHARACTERS} THEN substring({text}, 1, {SHOWN_CHARACTERS}) || ' …' "
        f"ELSE {text} END"
    )
