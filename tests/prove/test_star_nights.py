"""Real logs in five nights with two trainings: metrics over time in SQL and in MLflow, and a champion by the rule.

What the DAGs run, without their scheduler: the same commands, the same rule of when to train, the same detached job.
"""

from __future__ import annotations

import datetime as dt
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import SMALL, l2a
from helpers import open_warehouse
from registered import register

from l2a.conditions import EXPERT, RANDOM
from l2a.nightly import training
from l2a.registry import Registry, tracking_uri
from l2a.settings import Settings
from l2a.sql.engine import connect, query
from l2a.tables.contracts import ROLLOUTS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.prove, pytest.mark.timeout(7200)]

NIGHTS = [f"2026-11-0{number}" for number in range(1, 6)]
RETRAIN = {"recipe": "ci", "min_new_turns": 2000, "min_new_share": 100.0, "min_days": 0.0}
BETTER, WORSE = "scripted-better", "scripted-worse"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The real log in five parts, each where its night's logs land."""
    log = Path(__file__).parents[3] / "shared" / "data" / "star" / "train.jsonl"
    if not log.is_file():
        pytest.skip(f"no real logs at {log}")
    lines = log.read_bytes().splitlines(keepends=True)
    for number, night in enumerate(NIGHTS):
        folder = tmp_path / "landing" / f"dt={night}"
        folder.mkdir(parents=True)
        part = lines[number * len(lines) // len(NIGHTS) : (number + 1) * len(lines) // len(NIGHTS)]
        (folder / "part-0.jsonl").write_bytes(b"".join(part))
    return tmp_path


def answer_and_measure(warehouse: Path, *conditions: str, baseline: str) -> None:
    for condition in conditions:
        if condition not in (BETTER, WORSE):
            l2a("rollout", "--condition", condition, "--samples", "1", "--warehouse", warehouse)
        l2a("grade", "--condition", condition, "--warehouse", warehouse)
    l2a("evaluate", "--baseline", baseline, "--warehouse", warehouse)


def retrain(settings: Settings) -> str | None:
    """What the DAG `retrain` does; the condition that was trained."""
    planned, decision = training.plan(settings, dt.datetime.now(dt.UTC))
    print(decision.why)
    if planned is None:
        return None
    training.start(settings, planned.condition, None)
    while not training.finished(settings, planned.condition)[0]:
        time.sleep(2)
    answer_and_measure(Path(settings.warehouse), planned.condition, planned.baseline, baseline=planned.baseline)
    print(planned.condition, training.promote(settings, planned.condition, None))
    return planned.condition


def test_five_nights_train_twice_and_the_better_becomes_champion(
    root: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SMALL.items():
        monkeypatch.setenv(name, value)
    warehouse = root / "warehouse"
    settings = Settings.model_validate({"options": {"warehouse": str(warehouse), "retrain": RETRAIN}})
    trained = []
    for night in NIGHTS:
        l2a("ingest", root / "landing", "--date", night, "--warehouse", warehouse)
        for step in (["slice"], ["extract"], ["check", "--date", night]):
            l2a(*step, "--warehouse", warehouse, L2A_NIGHTLY__LANDING=str(root / "landing"))
        trained += [condition] if (condition := retrain(settings)) else []
    assert len(trained) == 2, "as often as 2,000 usable turns more were there"

    scripted = root / "scripted"
    scripted.mkdir()
    (scripted / "config.json").write_text("{}")
    tables = open_warehouse(spark, warehouse)
    answer_and_measure(warehouse, EXPERT, RANDOM, baseline=RANDOM)
    for condition, says in ((BETTER, EXPERT), (WORSE, RANDOM)):
        (scripted / "model.safetensors").write_text(condition)
        version = register(warehouse, condition, scripted, metrics={"heldout_perplexity": 1.0})
        said = tables.read(ROLLOUTS).where(f"condition = '{says}'").toPandas()
        said["condition"], said["model_version"] = condition, version
        tables.upsert(ROLLOUTS, spark.createDataFrame(said, tables.read(ROLLOUTS).schema))
    answer_and_measure(warehouse, BETTER, WORSE, baseline=RANDOM)
    outcomes = {name: training.promote(settings, name, None) for name in (BETTER, WORSE)}
    print(outcomes)
    assert [outcomes[name]["outcome"] for name in (BETTER, WORSE)] == ["promoted", "kept"]
    champion = Registry.open(settings).champion()
    assert champion is not None and champion.condition == BETTER

    connection = connect(str(warehouse))
    lines = sum(1 for night in NIGHTS for _ in (root / "landing" / f"dt={night}" / "part-0.jsonl").open("rb"))
    assert list(query(connection, "SELECT count(*) FROM dialogues").rows) == [(lines,)]
    sql = "SELECT condition, max(number) FROM metric_history WHERE metric = 'TR' GROUP BY condition"
    evaluations = dict(query(connection, sql).rows)
    shown = "SELECT condition, number, evaluated_at, value, ci_low, ci_high, n FROM metric_history WHERE metric = 'TR'"
    print(*query(connection, f"{shown} ORDER BY 1, 2").rows, sep="\n")
    assert evaluations[trained[0]] > evaluations[trained[1]] >= 2
    assert {name: points(settings, name) for name in trained} == {name: evaluations[name] for name in trained}
    shutil.rmtree(scripted)


def points(settings: Settings, condition: str) -> int:
    """How many evaluations of a condition's model are in MLflow."""
    from mlflow.tracking import MlflowClient

    version = Registry.open(settings).newest(condition)
    assert version is not None
    client = MlflowClient(tracking_uri(settings))
    names = [name for name in client.get_run(version.run_id).data.metrics if name.endswith("/TR")]
    return sum(len(client.get_metric_history(version.run_id, name)) for name in names)
