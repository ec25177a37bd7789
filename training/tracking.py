"""MLflow: one run per training, and a registered model per condition.

A training that is killed and started again goes on in the same run. The model is registered once, whatever happens in
between: its version carries the training's id.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import math
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import l2a
from l2a.errors import UsageError
from l2a.mlflow_client import explained, quoted, redacted
from l2a.model_files import digest
from l2a.registry import EXPERIMENT, tracking_uri
from l2a.settings import Settings
from training.stages import disk_full

MODEL = "policy"
"""Artifact folder of the model."""
_LONGEST_PARAMETER = 500
P = ParamSpec("P")
T = TypeVar("T")


@contextlib.contextmanager
def _speaking(uri: str) -> Iterator[None]:
    """MLflow's errors as ours. A full disk goes on as one: the training knows what is kept and where it goes on."""
    with explained(uri):
        try:
            yield
        except Exception as error:
            if disk_full(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise


def _asks(method: Callable[Concatenate[Run, P], T]) -> Callable[Concatenate[Run, P], T]:
    """A method of `Run` that speaks to MLflow."""

    @functools.wraps(method)
    def asking(run: Run, /, *given: P.args, **named: P.kwargs) -> T:
        with _speaking(run.uri):
            return method(run, *given, **named)

    return asking


class Run:
    """Implements `training.job.Tracker` over an MLflow run. Methods raise EnvironmentProblem where MLflow cannot be
    asked."""

    def __init__(self, settings: Settings, condition: str, run_id: str | None) -> None:
        """run_id: of the run that goes on; None: a new one."""
        self.uri = tracking_uri(settings)
        if self.uri.startswith("sqlite:///"):
            Path(self.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        self._condition = condition
        self._experiment_name = settings.train.experiment
        self.run_id = self._begin(run_id)

    @_asks
    def _begin(self, run_id: str | None) -> str:
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        self._client = mlflow.MlflowClient(self.uri)
        self._check_ours()
        if run_id is None:
            made = self._client.create_run(self._experiment(), run_name=self._condition)
            run_id = str(made.info.run_id)
        self._client.update_run(run_id, status="RUNNING")
        return run_id

    def _check_ours(self) -> None:
        """Raises UsageError where a model of the condition's name is somebody else's, before anything is trained."""
        import mlflow.exceptions

        try:
            tags = self._client.get_registered_model(self._condition).tags
        except mlflow.exceptions.MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return
            raise
        whose = tags.get(EXPERIMENT)
        if whose is None:
            # An older l2a did not say so on the model.
            versions = self._client.search_model_versions(f"name = {quoted(self._condition)}")
            if not versions or any("l2a.model_version" in version.tags for version in versions):
                return
        if whose != self._experiment_name:
            raise UsageError(
                f"the registry at {redacted(self.uri)} has a model {self._condition} that is "
                + (f"of the experiment {whose}" if whose else "not l2a's")
                + ": train under another condition's name, or set [train] experiment"
            )

    def _experiment(self) -> str:
        name = self._experiment_name
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = None
        if self.uri.startswith("sqlite:///"):
            place = (Path(self.uri.removeprefix("sqlite:///")).parent / "artifacts").as_uri()
        return str(self._client.create_experiment(name, artifact_location=place))

    @_asks
    def describe(self, parameters: Mapping[str, Any], tags: Mapping[str, str], files: Mapping[str, str]) -> None:
        """What the training is made from. Logging the same again changes nothing."""
        from mlflow.entities import Param, RunTag

        parameters = {key: str(value)[:_LONGEST_PARAMETER] for key, value in parameters.items()}
        self._client.log_batch(
            self.run_id,
            params=[Param(key, value) for key, value in parameters.items()],
            tags=[RunTag(key, value) for key, value in {**tags, "l2a.version": l2a.__version__, **_commit()}.items()],
        )
        for name, text in files.items():
            self._client.log_text(self.run_id, text, name)

    @_asks
    def curves(self, values: dict[str, float], step: int) -> None:
        """Points of curves; what is no number is left out."""
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        points = [Metric(key, value, now, step) for key, value in values.items() if math.isfinite(value)]
        self._client.log_batch(self.run_id, metrics=points)

    @_asks
    def file(self, path: Path, folder: str) -> None:
        self._client.log_artifact(self.run_id, str(path), folder)

    @_asks
    def failed(self) -> None:
        """Says in the run that its last attempt ended with an error."""
        self._client.set_terminated(self.run_id, "FAILED")

    @_asks
    def register(self, model: Path, tags: Mapping[str, str], card: str) -> tuple[int, str]:
        """Registers the folder under the condition's name, if that was not done yet; gives number and model_version."""
        import mlflow.exceptions

        version = digest(model)
        training = tags["l2a.training_id"]
        try:
            self._client.create_registered_model(
                self._condition, {EXPERIMENT: self._experiment_name}, "A policy under evaluation (l2a)."
            )
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        found = [
            v for v in self._client.search_model_versions(f"name = {quoted(self._condition)}")
            if v.tags.get("l2a.training_id") == training and v.run_id == self.run_id
        ]  # fmt: skip
        if found:
            number = int(found[0].version)
        else:
            (model / "README.md").write_text(card, encoding="utf-8")
            _describe_model(model, self.run_id)
            self._client.log_artifacts(self.run_id, str(model), MODEL)
            source = f"{self._client.get_run(self.run_id).info.artifact_uri}/{MODEL}"
            made = self._client.create_model_version(
                self._condition,
                source,
                self.run_id,
                tags={**tags, "l2a.model_version": version, EXPERIMENT: self._experiment_name},
                description=card[:5000],
            )
            number = int(made.version)
        self._client.set_terminated(self.run_id, "FINISHED")
        return number, version


def _describe_model(folder: Path, run_id: str) -> None:
    """MLflow's own description of the model: what goes in and out."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types.schema import Array, ColSpec, DataType, Object, Property, Schema

    message = Object([Property("role", DataType.string), Property("content", DataType.string)])
    signature = ModelSignature(
        inputs=Schema([ColSpec(Array(message), "messages")]), outputs=Schema([ColSpec(DataType.string, "text")])
    )
    described = Model(
        artifact_path=MODEL,
        run_id=run_id,
        signature=signature,
        flavors={"l2a": {"form": "hugging-face", "task": "chat"}},
    )
    described.save(str(folder / "MLmodel"))


def _commit() -> dict[str, str]:
    """The commit of the code, where it runs from a checkout."""
    folder = Path(l2a.__file__).parent
    done = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
    )
    return {"l2a.commit": done.stdout.strip()} if done.returncode == 0 else {}


def card(condition: str, facts: Mapping[str, Any]) -> str:
    """The model card: what the model is, and all that it was made from."""
    lines = [
        f"# {condition}",
        "",
        "A policy that asks one question at a time and stops when it knows enough, trained by l2a on dialogue logs",
        "(arXiv 2510.25441). Its answers are questions, or exactly `<stop />`.",
        "",
        "| what | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts.items()),
        "",
        "Metrics with intervals are in the warehouse's tables `metrics` and `comparisons` under this condition.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
