"""What an evaluation reads: graded rollouts of usable turns, their sums, and where their dialogues belong."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from l2a.errors import UsageError
from l2a.metrics.evaluate import sums
from l2a.metrics.slices import places
from l2a.settings import EvaluateSettings, JudgeSettings
from l2a.tables.contracts import DIALOGUES, GRADES, OBJECTIVES, ROLLOUTS, TURNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.judging import resolve
from spark_jobs.runs import digest

INPUTS = (GRADES, ROLLOUTS, OBJECTIVES, TURNS, DIALOGUES)
KEY = ["session_id", "turn", "dialogue_version"]
ANSWER = ["condition", "model_version", *KEY, "sample"]
EVAL = "split = 'eval'"


@dataclass(frozen=True)
class Evaluation:
    """Which rows an evaluation is about, and how it counts them."""

    extractor: str
    grader: str
    settings: EvaluateSettings

    @property
    def subject(self) -> str:
        return self.extractor if self.extractor == self.grader else f"{self.extractor} {self.grader}"

    @property
    def digest(self) -> str:
        """Of all settings that its rows depend on."""
        names = ("beta", "replicates", "max_slice_values")
        return digest(self.extractor, self.grader, *[getattr(self.settings, name) for name in names])

    def id_now(self, warehouse: Warehouse) -> str:
        """The `evaluation_id` that it has on the tables as they are: the id names their versions, too."""
        versions = {contract.name: warehouse.version(contract) for contract in INPUTS}
        return digest("evaluation", self.digest, versions)

    def columns(self, warehouse: Warehouse) -> dict[str, Column]:
        """The columns that all its rows share."""
        return {
            "evaluation_id": F.lit(self.id_now(warehouse)),
            "extractor": F.lit(self.extractor),
            "grader": F.lit(self.grader),
            "beta": F.lit(self.settings.beta),
            "created_at": F.lit(dt.datetime.now(dt.UTC)),
        }


def evaluation(warehouse: Warehouse, judge: JudgeSettings, settings: EvaluateSettings) -> Evaluation:
    """Raises `UsageError` for judges that are not there, `TableMissing` where nothing is graded yet."""
    warehouse.read(GRADES)
    extractor = resolve(warehouse, judge.extractor, "extractor")
    return Evaluation(extractor, resolve(warehouse, judge.grader, "grader"), settings)


def conditions(warehouse: Warehouse, which: Evaluation) -> list[str]:
    """The conditions with grades, sorted."""
    return sorted(row[0] for row in _grades(warehouse, which).select("condition").distinct().collect())


def model_versions(warehouse: Warehouse, which: Evaluation) -> dict[str, set[str]]:
    """The model versions that each condition was measured by."""
    by_condition = usable_grades(warehouse, which).where(EVAL).groupBy("condition")
    return {name: set(found) for name, found in by_condition.agg(F.collect_set("model_version")).collect()}


def check_baseline(warehouse: Warehouse, which: Evaluation, baseline: str) -> None:
    """Raises `UsageError`, with those that there are, for a baseline that no graded condition has the name of."""
    known = conditions(warehouse, which)
    if baseline not in known:
        there = ", ".join(known) or "none"
        raise UsageError(f"--baseline {baseline}: no condition of that name is graded; there are: {there}")


def usable_grades(warehouse: Warehouse, which: Evaluation) -> DataFrame:
    """One row per graded rollout of a usable turn: its split, its text, and the columns that metrics are made of."""
    # A policy that was rolled out anew is not measured by the grades of what its older model said.
    return _usable_rollouts(warehouse, which).join(
        _grades(warehouse, which).select(*ANSWER, "r_a", "r_s", "omega"), ANSWER
    )


def ungraded(warehouse: Warehouse, which: Evaluation) -> dict[str, int]:
    """How many rollouts of usable eval turns `grade` has not seen yet, by condition."""
    graded = _grades(warehouse, which).select(*ANSWER)
    left = _usable_rollouts(warehouse, which).where(EVAL).join(graded, ANSWER, "left_anti")
    return {row[0]: row[1] for row in left.groupBy("condition").count().orderBy("condition").collect()}


def _usable_rollouts(warehouse: Warehouse, which: Evaluation) -> DataFrame:
    objectives = warehouse.read(OBJECTIVES).where(F.col("extractor") == which.extractor)
    objectives = objectives.where("dropped_reason IS NULL AND status = 'ok'")
    turns = warehouse.read(TURNS).where("dropped_reason IS NULL").select(*KEY, "split")
    rollouts = warehouse.read(ROLLOUTS).select(*ANSWER, "decision", "text")
    # A dialogue that changed waits for its slicing, as it does in `grade`.
    newest = warehouse.read(DIALOGUES).select("session_id", "dialogue_version")
    return (
        rollouts.join(newest, ["session_id", "dialogue_version"], "left_semi")
        .join(turns, KEY)
        .join(objectives.select(*KEY, F.col("decision").alias("target")), KEY)
    )


def turn_sums(warehouse: Warehouse, which: Evaluation) -> DataFrame:
    """The sums per condition, split, session_id and turn: all that metrics, slices and comparisons need."""
    return sums(usable_grades(warehouse, which), ["condition", "split", "session_id", "turn"])


def placed(warehouse: Warehouse, parts: DataFrame, most: int) -> DataFrame:
    """The sums with the domain, expert and month of their dialogue, as it is now: all rows stay."""
    dialogues = warehouse.read(DIALOGUES).select("session_id", "domain", "expert", "updated_at", "landed")
    return parts.join(places(dialogues, parts.select("session_id").distinct(), most), "session_id")


def dropped_share(warehouse: Warehouse, extractor: str) -> float | None:
    """The share of eval turns that are not usable; turns without an objective are among them."""
    objectives = warehouse.read(OBJECTIVES).where(F.col("extractor") == extractor)
    usable = objectives.where("dropped_reason IS NULL AND status = 'ok'").select(*KEY, F.lit(1).alias("usable"))
    turns = warehouse.read(TURNS).where("split = 'eval'").join(usable, KEY, "left")
    share = turns.agg(F.avg(F.expr("CASE WHEN dropped_reason IS NULL AND usable = 1 THEN 0e0 ELSE 1e0 END"))).first()
    return None if share is None else share[0]


def _grades(warehouse: Warehouse, which: Evaluation) -> DataFrame:
    return warehouse.read(GRADES).where((F.col("extractor") == which.extractor) & (F.col("grader") == which.grader))
