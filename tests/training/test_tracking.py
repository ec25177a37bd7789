"""A training's side of MLflow: one registration however often it is tried, and failures that one sentence tells."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from registered import settings_of
from training_tables import EXTRACTOR, make_warehouse

from l2a.errors import EnvironmentProblem, UsageError
from l2a.registry import Registry
from l2a.settings import Settings
from training.recipes import load
from training.tracking import Run
from training.train import train

TAGS = {"l2a.training_id": "t-1"}


def settings(warehouse: Path, **options: object) -> Settings:
    judge = {"extractor": EXTRACTOR, "grader": EXTRACTOR}
    return Settings.model_validate({"options": {"warehouse": str(warehouse), "judge": judge, **options}})


@pytest.mark.parametrize("condition", ["bob's", '12" 卡'])
def test_a_model_is_registered_once_whatever_its_condition_is_called(tmp_path: Path, condition: str) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    run = Run(settings_of(tmp_path), condition, None)
    first = run.register(model, TAGS, "# card")
    # Killed before it was noted down, the training registers again.
    assert Run(settings_of(tmp_path), condition, run.run_id).register(model, TAGS, "# card") == first
    found = Registry.open(settings_of(tmp_path)).newest(condition)
    assert found is not None and (found.number, found.model_version) == first


def test_a_name_that_is_somebody_elses_model_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    mine, theirs = settings_of(tmp_path), settings(tmp_path, train={"experiment": "production"})
    first = Run(mine, "sft", None).register(model, TAGS, "# card")
    with pytest.raises(UsageError, match="a model sft that is of the experiment l2a"):
        Run(theirs, "sft", None)
    assert Registry.open(mine).newest("sft") is not None and Registry.open(theirs).conditions() == []

    client = MlflowClient(tracking_uri=Registry.open(mine).uri)
    client.create_registered_model("grpo")
    run = client.create_run(client.create_experiment("somebody's"))
    client.create_model_version("grpo", model.as_uri(), run.info.run_id)
    with pytest.raises(UsageError, match="a model grpo that is not l2a's"):
        Run(mine, "grpo", None)

    # An older l2a did not say on the model whose it is.
    client.delete_registered_model_tag("sft", "l2a.experiment")
    client.delete_model_version_tag("sft", "1", "l2a.experiment")
    found = Registry.open(mine).newest("sft")
    assert found is not None and (found.number, found.model_version) == first
    assert Run(mine, "sft", None).run_id


def test_a_name_that_the_registry_cannot_search_for_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both kinds of quotes"):
        train(settings(tmp_path), load("ci"), "sft", 'bob\'s "best"')
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_down_is_one_sentence_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    root = make_warehouse(tmp_path, train=4, dev=0)
    down = settings(root, train={"tracking_uri": "http://ada:secret@127.0.0.1:9"})
    with pytest.raises(EnvironmentProblem, match=r"MLflow at http://\*\*\*@127\.0\.0\.1:9 does not answer") as caught:
        train(down, load("ci"), "sft", "sft")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


class _NoArtifacts(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_error(403)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def refusing() -> Iterator[str]:
    """A store of artifacts that takes none, with a password in its address."""
    server = HTTPServer(("127.0.0.1", 0), _NoArtifacts)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://ada:secret@127.0.0.1:{server.server_port}/api/2.0/mlflow-artifacts/artifacts"
    server.shutdown()
    server.server_close()


def test_a_store_that_refuses_an_artifact_is_one_sentence_without_its_password(tmp_path: Path, refusing: str) -> None:
    import mlflow

    own = settings_of(tmp_path)
    uri = Registry.open(own).uri
    (tmp_path / "_mlflow").mkdir()
    mlflow.MlflowClient(uri).create_experiment(own.train.experiment, artifact_location=refusing)
    run = Run(own, "sft", None)
    with pytest.raises(EnvironmentProblem, match="403") as caught:
        run.describe({}, {}, {"recipe.json": "{}"})
    assert "secret" not in str(caught.value)


def test_a_full_disk_under_mlflow_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.exceptions import MlflowException

    def full(*_: object, **__: object) -> None:
        raise MlflowException("(sqlite3.OperationalError) database or disk is full")

    monkeypatch.setattr("mlflow.MlflowClient.create_run", full)
    root = make_warehouse(tmp_path, train=4, dev=0)
    with pytest.raises(EnvironmentProblem, match=r"no space left on the disk.*run the same command again"):
        train(settings(root), load("ci"), "sft", "sft")
