"""Trained models in MLflow's registry, the reading side: which version a condition has, where its files are, who is
champion.

    registry = Registry.open(settings)
    version = registry.newest("grpo")
    folder = registry.fetch(version)

A registered model has the condition's name. What l2a made is told by the tag `l2a.model_version`, and for which
experiment (`[train] experiment`) by `l2a.experiment`, so a registry that others use too is no trouble: their models,
and those of another warehouse with an experiment of its own, are not seen, and never touched.

MLflow takes seconds to import, so nothing is imported before something has to be asked.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from l2a.conditions import CHAMPION
from l2a.errors import EnvironmentProblem, UsageError
from l2a.mlflow_client import explained, pages, quoted
from l2a.model_files import digest
from l2a.settings import Settings

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

FULL, ADAPTER = "full", "adapter"
EXPERIMENT = "l2a.experiment"
"""Tag of models and versions."""
MEASURED = "## Measured"
"""Opens the part of a model card that evaluations write."""
_PAGE = 200


@dataclass(frozen=True)
class Version:
    """A registered model version that l2a made."""

    condition: str
    number: int
    """The registry's own: 1, 2, ... under the condition's name."""
    model_version: str
    """Digest of the model folder: what tables and requests know the weights by."""
    kind: str
    """full: a model that loads by itself; adapter: low-rank weights on `base`."""
    base: str | None
    """Of an adapter: folder or hub name of the model that it stands on."""
    method: str
    training_id: str
    run_id: str
    source: str
    """Where the files are, in MLflow's words."""
    max_length: int | None
    """Tokens that a prompt may have; older messages are left out beyond; None: not said."""
    stop_rule: bool = True
    """Whether the instructions say when to stop: not those of the ablation that is never rewarded for it."""

    @property
    def title(self) -> str:
        return f"{self.condition} version {self.number} ({self.model_version})"


def tracking_uri(settings: Settings) -> str:
    """Where trainings are tracked and models registered: the setting, else a database in the warehouse folder.

    Raises UsageError for a warehouse behind a URL without the setting: a database file does not work there.
    """
    if settings.train.tracking_uri:
        return settings.train.tracking_uri
    if "://" in settings.warehouse:
        raise UsageError(
            f"The warehouse {settings.warehouse} is no folder of this machine, so MLflow cannot keep its database "
            "there: set tracking_uri in section [train] (environment L2A_TRAIN__TRACKING_URI) to an MLflow server."
        )
    return f"sqlite:///{Path(settings.warehouse).absolute()}/_mlflow/mlflow.db"


class Registry:
    """MLflow's model registry, as l2a reads it. Methods raise EnvironmentProblem where MLflow cannot be asked."""

    def __init__(self, uri: str, experiment: str, cache: Path | None = None) -> None:
        """experiment: whose models are seen. cache: folder for models that are downloaded; None: l2a's part of the
        user's cache folder.
        """
        self.uri = uri
        self._experiment = experiment
        self._cache = cache

    @classmethod
    def open(cls, settings: Settings) -> Registry:
        """The registry of these settings. Nothing is asked yet."""
        return cls(tracking_uri(settings), settings.train.experiment)

    def conditions(self) -> list[str]:
        """The conditions with a registered version, sorted."""
        return sorted(model.name for model in self._models() if self.newest(model.name))

    def newest(self, condition: str) -> Version | None:
        """The newest registered version of a condition; None: it has none."""
        return next(self.versions(condition), None)

    def versions(self, condition: str) -> Iterator[Version]:
        """The registered versions of a condition, newest first."""
        client = self._client
        if client is None or not condition:
            return
        wanted = f"name = {quoted(condition)}"
        with explained(self.uri):
            found = pages(
                lambda token: client.search_model_versions(
                    wanted, max_results=_PAGE, order_by=["version_number DESC"], page_token=token
                )
            )
            yield from (version for version in map(self._version, found) if version is not None)

    def named(self, condition: str) -> Version | None:
        """The version that a name means to whoever asks a model: the champion's for `champion`, else the newest."""
        return self.champion() if condition == CHAMPION else self.newest(condition)

    def champion(self) -> Version | None:
        """The version in production, of whichever condition; None: nothing was promoted yet."""
        crowned = list(self._crowned())
        # A promotion that was killed between its two steps leaves the alias on two: the one that it was about is newer.
        return max(crowned, key=lambda one: (one[0], one[1].condition))[1] if crowned else None

    def metric(self, version: Version, name: str) -> float | None:
        """The last value of a metric of the training run behind a version; None: the run has none of that name."""
        client = self._client
        if client is None or not version.run_id:
            return None
        with explained(self.uri):
            return client.get_run(version.run_id).data.metrics.get(name)

    def measured(self, version: Version, values: Mapping[str, float], at: dt.datetime, card: str | None) -> None:
        """Adds a point to metrics of the training run behind a version, and says on its card what was found.

        values: by MLflow's name; at: when they were measured, which adds them once however often this is called.
        card: Markdown, in the place of what the card said of an earlier measurement; None: it stays as it is.
        """
        from mlflow.entities import Metric

        client = self._client
        if client is None or not version.run_id:
            return
        moment = int(at.timestamp() * 1000)
        with explained(self.uri):
            before = client.get_metric_history(version.run_id, next(iter(values))) if values else []
            if moment not in {point.timestamp for point in before}:
                points = [Metric(name, value, moment, len(before)) for name, value in values.items()]
                client.log_batch(version.run_id, metrics=points)
            if card is not None:
                number = str(version.number)
                before_it = (client.get_model_version(version.condition, number).description or "").split(MEASURED)[0]
                told = f"{before_it.rstrip()}\n\n{MEASURED}\n\n{card}"
                client.update_model_version(version.condition, number, told[:5000])

    def fetch(self, version: Version) -> Path:
        """The folder of the version's files on this machine. A local artifact store's own folder is given as it is;
        from any other it is downloaded once.

        Raises EnvironmentProblem where the files are gone, damaged, or not the ones that were registered.
        """
        if self._client is None:
            raise EnvironmentProblem(f"There is no registry at {self.uri}.")
        local = local_path(self._download_uri(version))
        folder = local if local is not None else self._downloaded(version)
        if not folder.is_dir():
            raise EnvironmentProblem(
                f"The files of {version.title} are not where the registry says, in {folder}. Train the condition again."
            )
        whole = digest(folder) == version.model_version
        if not whole and local is None:
            # What was downloaded once may have been damaged since: only the store itself has the last word.
            shutil.rmtree(folder)
            whole = digest(self._downloaded(version)) == version.model_version
        if not whole:
            raise EnvironmentProblem(
                f"The files of {version.title} in {folder} are not the ones that were registered: they were changed or "
                "damaged. Train the condition again."
            )
        return folder

    def crown(self, version: Version, by: str, why: str, *, forced: bool = False) -> None:
        """Makes a version the one champion, and notes on it who did so, when and why."""
        client = self._client
        if client is None:
            raise EnvironmentProblem(f"There is no registry at {self.uri}.")
        with explained(self.uri):
            at = dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
            tags = {"crowned_by": by, "crowned_why": why, "crowned_at": at, "crowned_forced": str(forced).lower()}
            for name, value in tags.items():
                client.set_model_version_tag(version.condition, str(version.number), f"l2a.{name}", value[:4000])
            client.set_registered_model_alias(version.condition, CHAMPION, str(version.number))
            for _, other in self._crowned():
                if other.condition != version.condition:
                    client.delete_registered_model_alias(other.condition, CHAMPION)

    def _crowned(self) -> Iterator[tuple[str, Version]]:
        """When, and which version: more than one only after a promotion that was killed."""
        client = self._client
        for model in self._models():
            if client is None or CHAMPION not in model.aliases:
                continue
            with explained(self.uri):
                found = client.get_model_version(model.name, str(model.aliases[CHAMPION]))
            version = self._version(found)
            if version is not None:
                yield found.tags.get("l2a.crowned_at", ""), version

    def _version(self, found: ModelVersion) -> Version | None:
        """None: another's. Versions of an older l2a do not say whose they are."""
        return _version(found) if found.tags.get(EXPERIMENT, self._experiment) == self._experiment else None

    def _models(self) -> list[Any]:
        client = self._client
        if client is None:
            return []
        with explained(self.uri):
            return list(pages(lambda token: client.search_registered_models(max_results=_PAGE, page_token=token)))

    @functools.cached_property
    def _client(self) -> MlflowClient | None:
        """None: a database that no training has made yet; asking MLflow would make it."""
        if self.uri.startswith("sqlite:///") and not Path(self.uri.removeprefix("sqlite:///")).exists():
            return None
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise EnvironmentProblem(
                f"The registry of trained models needs the package {error.name}: in l2a's checkout, "
                "`pip install '.[train]'`."
            ) from None
        with explained(self.uri):
            return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def _download_uri(self, version: Version) -> str:
        assert self._client is not None
        with explained(self.uri):
            return str(self._client.get_model_version_download_uri(version.condition, str(version.number)))

    def _downloaded(self, version: Version) -> Path:
        cache = self._cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "l2a" / "models"
        target = cache / version.model_version
        if target.is_dir():
            return target
        from mlflow.artifacts import download_artifacts

        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".download-", dir=cache))
        try:
            with explained(self.uri):
                found = Path(
                    download_artifacts(
                        artifact_uri=self._download_uri(version), dst_path=str(made), tracking_uri=self.uri
                    )
                )
            with contextlib.suppress(OSError):  # another process was faster
                os.rename(found, target)
            return target
        finally:
            shutil.rmtree(made, ignore_errors=True)


def local_path(uri: str) -> Path | None:
    """The folder that an artifact's address means on this machine; None: it lies elsewhere."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(uri)


def _version(found: ModelVersion) -> Version | None:
    tags = found.tags
    if not tags.get("l2a.model_version") or found.status != "READY":
        return None
    length = tags.get("l2a.max_length", "")
    return Version(
        condition=found.name,
        number=int(found.version),
        model_version=tags["l2a.model_version"],
        kind=tags.get("l2a.kind", FULL),
        base=tags.get("l2a.base") or None,
        method=tags.get("l2a.method", ""),
        training_id=tags.get("l2a.training_id", ""),
        run_id=found.run_id or "",
        source=found.source or "",
        max_length=int(length) if length.isdecimal() else None,
        stop_rule=tags.get("l2a.stop_rule", "true") != "false",
    )
