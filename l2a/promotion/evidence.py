"""What a promotion is decided on: paired differences between two models' grades, without Spark.

The same sums, the same bootstrap weights and the same code as `l2a evaluate --baseline` (l2a.metrics), over the
rollouts of exactly two model versions: a condition that was trained again is not compared by its old answers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l2a.conditions import CHAMPION, RANDOM
from l2a.errors import EnvironmentProblem, UsageError
from l2a.metrics.bootstrap import COUNTED, Tally
from l2a.metrics.definitions import SUMS
from l2a.metrics.newest import newest_evaluation
from l2a.metrics.paired import Difference, differences
from l2a.registry import Version
from l2a.settings import Settings
from l2a.sql.engine import connect, query
from l2a.sql.types import literal


@dataclass(frozen=True)
class Judged:
    """Whose grades count: the judges and beta of an evaluation."""

    extractor: str
    grader: str
    beta: float

    def __str__(self) -> str:
        by = self.extractor if self.extractor == self.grader else f"{self.extractor} and {self.grader}"
        return f"judged by {by}, beta {self.beta:g}"


@dataclass(frozen=True)
class Side:
    """Rollouts of one policy, or of several that are taken together (a method's seeds): under conditions' names, by one
    version of the model (None: any)."""

    conditions: tuple[str, ...]
    model_version: str | None = None


class Evidence:
    """The grades of a warehouse by some judges, read-only, in their newest snapshot."""

    def __init__(self, warehouse: str, judged: Judged) -> None:
        """Raises UsageError where the warehouse is no folder."""
        self._connection = connect(warehouse, only=("graded_rollouts",))
        self.judged = judged

    @classmethod
    def newest(cls, settings: Settings) -> Evidence:
        """By the judges of the newest evaluation. Raises UsageError where nothing was evaluated yet."""
        sql = f"SELECT extractor, grader, beta FROM ({newest_evaluation(settings)})"
        row = next(query(connect(settings.warehouse, only=("metrics",)), sql).rows, None)
        if row is None:
            raise UsageError("nothing is evaluated yet, so nothing can be compared: run `l2a evaluate`")
        return cls(settings.warehouse, Judged(*row))

    def candidate(self, version: Version) -> Side:
        """The graded rollouts of a model. Raises UsageError where there are none of this version."""
        return self._graded(version, (version.condition,))

    def champion(self, version: Version | None) -> Side:
        """The graded rollouts to compare with: the champion's, as condition `champion` (where retraining keeps them
        fresh) or under its own condition's name; before there is a champion, `random`'s.
        """
        if version is not None:
            return self._graded(version, (CHAMPION, version.condition))
        if RANDOM not in {condition for condition, _ in self._there()}:
            raise UsageError(
                f"there is no champion yet, so the built-in condition {RANDOM} is to be beaten, and it has no grades "
                f"of these judges: run `l2a rollout --condition {RANDOM}` and {self._grading}"
            )
        return Side((RANDOM,))

    def differences(
        self, candidate: Side, champion: Side, replicates: int, *, after_first: bool = False
    ) -> list[Difference]:
        """The seven paired differences over the usable eval turns that both answered; after_first: but for the first
        turn of each dialogue."""
        columns = ", ".join(f"cast(sum({side}.{name}) as double)" for side in ("m", "t") for name in SUMS)
        rows = list(
            query(
                self._connection,
                f"""
                WITH m AS ({self._sums(candidate)}), t AS ({self._sums(champion)})
                SELECT session_id, {columns} FROM m JOIN t USING (session_id, turn)
                WHERE turn > {int(after_first)} GROUP BY session_id ORDER BY session_id
                """,
            ).rows
        )
        tallies = Tally.empty(replicates), Tally.empty(replicates)
        common = np.zeros(len(COUNTED))
        if rows:
            hashes = np.array([spark_hash(row[0]) for row in rows])
            sums = np.array([row[1:] for row in rows], np.float64).reshape(len(rows), 2, len(SUMS))
            for side, tally in enumerate(tallies):
                tally.add_dialogues(hashes, sums[:, side])
            counted = sums[:, :, [list(SUMS).index(name) for name in COUNTED]]
            common = (counted > 0).all(axis=1).sum(axis=0)
        return differences(*tallies, common, self.judged.beta)

    def _graded(self, version: Version, names: tuple[str, ...]) -> Side:
        for name in names:
            if (name, version.model_version) in self._there():
                return Side((name,), version.model_version)
        condition = names[0]
        raise UsageError(
            f"{version.title} has no grades ({self.judged}): run `l2a rollout --condition {condition}` and "
            + self._grading
        )

    @property
    def _grading(self) -> str:
        return f"`l2a grade --extractor {self.judged.extractor} --grader {self.judged.grader}`"

    def _there(self) -> set[tuple[str, str]]:
        """Conditions and model versions with usable graded eval rollouts."""
        found = query(
            self._connection, f"SELECT DISTINCT condition, model_version FROM graded_rollouts WHERE {self._counts()}"
        )
        return {(condition, model_version) for condition, model_version in found.rows}

    def _sums(self, side: Side) -> str:
        """SQL: the sums of each turn that one side decided something at."""
        sums = ", ".join(f"{sql} AS {name}" for name, sql in SUMS.items())
        version = "true" if side.model_version is None else f"model_version = {literal(side.model_version)}"
        return (
            f"SELECT session_id, turn, {sums} FROM graded_rollouts WHERE {self._counts()} AND {version} "
            f"AND condition IN ({', '.join(map(literal, side.conditions))}) "
            "GROUP BY session_id, turn HAVING count(decision) > 0"
        )

    def _counts(self) -> str:
        return (
            f"split = 'eval' AND is_usable AND extractor = {literal(self.judged.extractor)} "
            f"AND grader = {literal(self.judged.grader)}"
        )


def spark_hash(text: str) -> int:
    """Spark's xxhash64 of a string, which the bootstrap weights of a dialogue are made from."""
    try:
        import xxhash
    except ImportError:
        raise EnvironmentProblem(
            "`l2a promote` needs the package xxhash: `pip install '.[llm]'` in l2a's checkout."
        ) from None
    value = xxhash.xxh64_intdigest(text.encode(), seed=42)
    return value - (1 << 64) if value >= 1 << 63 else value
