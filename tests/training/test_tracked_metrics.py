"""An evaluation's metrics in MLflow: on the run of the very model, once each, and on its card."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from registered import register, settings_of

from l2a.metrics.tracked import track
from l2a.registry import Registry, tracking_uri

MONDAY, TUESDAY = (dt.datetime(2026, 11, day, 3, tzinfo=dt.UTC) for day in (16, 17))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A condition that was trained twice; the model versions."""
    root = tmp_path_factory.mktemp("warehouse")
    versions = []
    for weights in ("old", "new"):
        folder = root / weights
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_text(weights)
        versions.append(register(root, "grpo", folder))
    return root, versions


def row(metric: str, value: float | None, at: dt.datetime = MONDAY, **more: Any) -> dict[str, Any]:
    ends = (None, None) if value is None else (value - 0.1, value + 0.1)
    return {
        "evaluation_id": "e-1", "condition": "grpo", "metric": metric, "value": value, "ci_low": ends[0],
        "ci_high": ends[1], "n": 1200, "n_dialogues": 60, "extractor": "embedded-1", "grader": "embedded-1",
        "beta": 2.0, "created_at": at, **more,
    }  # fmt: skip


def points(root: Path, version: str, name: str) -> list[tuple[float, int]]:
    """Value and time, in days of the month, of each point of a metric of a model's run."""
    from mlflow.tracking import MlflowClient

    found = next(v for v in Registry.open(settings_of(root)).versions("grpo") if v.model_version == version)
    history = MlflowClient(tracking_uri(settings_of(root))).get_metric_history(found.run_id, name)
    return [(point.value, dt.datetime.fromtimestamp(point.timestamp / 1000, dt.UTC).day) for point in history]


def card(root: Path, number: int) -> str:
    from mlflow.tracking import MlflowClient

    uri = tracking_uri(settings_of(root))
    return str(MlflowClient(tracking_uri=uri, registry_uri=uri).get_model_version("grpo", str(number)).description)


def test_each_evaluation_is_a_point_on_the_model_that_answered(models: tuple[Path, list[str]]) -> None:
    root, (old, new) = models
    for _ in range(2):  # the second time nothing is new
        track(settings_of(root), [row("TR", 3.0), row("WS", None)], {"grpo": {old}})
    track(settings_of(root), [row("TR", 3.2, TUESDAY), row("WS", 0.5, TUESDAY)], {"grpo": {old}})
    assert points(root, old, "eval/embedded-1/TR") == [(3.0, 16), (3.2, 17)]
    assert points(root, old, "eval/embedded-1/TR_ci_low") == [(2.9, 16), (3.1, 17)]
    assert points(root, old, "eval/embedded-1/WS") == [(0.5, 17)]
    assert points(root, new, "eval/embedded-1/TR") == []
    assert "| TR | 3.200 | 3.100 to 3.300 | 1,200 | 60 |" in card(root, 1) and "3.000" not in card(root, 1)


def test_other_judges_betas_and_temperature_0_are_other_curves(models: tuple[Path, list[str]]) -> None:
    root, (_, new) = models
    track(settings_of(root), [row("TR", 3.0, grader="llm:卡 3")], {"grpo": {new}})
    track(settings_of(root), [row("TR", 2.0, beta=0.5)], {"grpo": {new}})
    track(settings_of(root), [row("TR", 2.5, condition="grpo@greedy")], {"grpo@greedy": {new}})
    assert points(root, new, "eval/embedded-1/llm_卡 3/TR") == [(3.0, 16)]
    assert points(root, new, "eval/embedded-1/TR_beta0.5") == [(2.0, 16)]
    assert points(root, new, "eval_greedy/embedded-1/TR") == [(2.5, 16)]


def test_what_cannot_be_tracked_is_said_and_stops_nothing(
    models: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root, (old, new) = models
    track(settings_of(root), [row("TR", 1.0, TUESDAY)], {"grpo": {old, new}})
    assert "not of one registered model" in " ".join(capsys.readouterr().err.split())
    damaged = tmp_path / "_mlflow" / "mlflow.db"
    damaged.parent.mkdir()
    damaged.write_text("this is no database")
    track(settings_of(tmp_path), [row("TR", 1.0)], {"grpo": {old}})
    assert "but not in MLflow" in " ".join(capsys.readouterr().err.split())
    track(settings_of(tmp_path), [row("TR", 1.0, condition="random")], {"random": {"train-1"}})
    assert capsys.readouterr().err == ""
