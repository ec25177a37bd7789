"""Models in a registry, as a training leaves them: for the tests of what reads them."""

from __future__ import annotations

import shutil
from pathlib import Path

from l2a.model_files import digest
from l2a.registry import Version, tracking_uri
from l2a.settings import Settings


def settings_of(warehouse: Path) -> Settings:
    return Settings.model_validate({"options": {"warehouse": str(warehouse)}})


def register(
    warehouse: Path,
    condition: str,
    folder: Path,
    *,
    metrics: dict[str, float] | None = None,
    **tags: str,
) -> str:
    """Registers a copy of the model folder as the condition's next version, as `l2a train` does; its model_version."""
    from mlflow.tracking import MlflowClient

    uri = tracking_uri(Settings.model_validate({"options": {"warehouse": str(warehouse)}}))
    (warehouse / "_mlflow").mkdir(parents=True, exist_ok=True)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name("l2a")
    artifacts = (warehouse / "_mlflow" / "artifacts").absolute().as_uri()
    experiment_id = (
        experiment.experiment_id if experiment else client.create_experiment("l2a", artifact_location=artifacts)
    )
    run = client.create_run(experiment_id)
    for name, value in (metrics or {}).items():
        client.log_metric(run.info.run_id, name, value)
    target = Path(run.info.artifact_uri.removeprefix("file://")) / "model"
    shutil.copytree(folder, target)
    version = digest(target)
    (target / "README.md").write_text("# The model card")
    client.set_terminated(run.info.run_id)
    if not any(model.name == condition for model in client.search_registered_models()):
        client.create_registered_model(condition)
    about = {"model_version": version, "kind": "full", "method": "sft", "training_id": "t", "max_length": "512"} | tags
    client.create_model_version(
        condition,
        target.as_uri(),
        run_id=run.info.run_id,
        tags={f"l2a.{name}": value for name, value in about.items()},
    )
    return version


__all__ = ["Version", "register", "settings_of"]
