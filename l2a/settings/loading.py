"""All settings together, and where their values come from."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from l2a.errors import UsageError
from l2a.places import folder_or_url
from l2a.settings.llm import LLMSettings
from l2a.settings.sections import (
    EvaluateSettings,
    IngestSettings,
    JudgeSettings,
    LauncherSettings,
    MaintenanceSettings,
    NightlySettings,
    ObjectiveSettings,
    RetrainSettings,
    SparkSettings,
    TrainSettings,
)

DEFAULT_FILE = "l2a.toml"


class Settings(BaseSettings):
    """All settings, weakest source last: options, environment, file, default. `load` finds the file."""

    model_config = SettingsConfigDict(env_prefix="L2A_", env_nested_delimiter="__", extra="forbid")

    warehouse: str = Field(default="./warehouse", description="Folder or URL that holds the tables.")
    max_failed_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="A step of which a larger share of rows failed ends with exit code 1.",
    )
    spark: SparkSettings = SparkSettings()
    ingest: IngestSettings = IngestSettings()
    judge: JudgeSettings = JudgeSettings()
    objectives: ObjectiveSettings = ObjectiveSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    llm: LLMSettings = LLMSettings.model_validate({})
    train: TrainSettings = TrainSettings()
    launcher: LauncherSettings = LauncherSettings()
    nightly: NightlySettings = NightlySettings()
    retrain: RetrainSettings = RetrainSettings()
    maintenance: MaintenanceSettings = MaintenanceSettings()

    def __init__(self, options: Mapping[str, Any] | None = None, file: Mapping[str, Any] | None = None) -> None:
        """options: of the command line. file: what the settings file holds. Both are nested like the settings."""
        super().__init__(options=options or {}, file=file or {})

    @field_validator("warehouse")
    @classmethod
    def _one_reading(cls, warehouse: str) -> str:
        return folder_or_url(warehouse)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options (given as `options`) before the environment before the file (given as `file`)."""
        given = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        return (
            InitSettingsSource(settings_cls, given.get("options", {})),
            env_settings,
            InitSettingsSource(settings_cls, given.get("file", {})),
        )


def load(config: str | os.PathLike[str] | None = None, options: dict[str, Any] | None = None) -> Settings:
    """The settings of this process.

    config: a TOML file; None: `L2A_CONFIG`, else `./l2a.toml` where it exists.
    options: values from the command line, nested like the settings; they win.

    Raises `UsageError` naming the setting that is unknown, of the wrong type or out of range.
    """
    path = Path(config or os.environ.get("L2A_CONFIG") or DEFAULT_FILE)
    try:
        if not path.exists() and (config or os.environ.get("L2A_CONFIG")):
            raise UsageError(f"there is no settings file {path}")
        file = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except OSError as error:
        raise UsageError(f"the settings file {path} cannot be read ({error.strerror}): name another") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    try:
        return Settings(options, file)
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors(include_input=False)]
        raise UsageError("wrong settings: " + "; ".join(lines)) from None
    except SettingsError as error:
        example = '["http://localhost:8000/v1"]'
        raise UsageError(
            f"wrong settings: {_variable(error)} is not JSON: in the environment lists and tables are, as in {example}"
        ) from None


def _variable(error: SettingsError) -> str:
    """The variable of the environment that an error is about, which knows its value only."""
    value = getattr(error.__cause__, "doc", None)
    names = [name for name, text in os.environ.items() if name.upper().startswith("L2A_") and text == value]
    return " or ".join(names) or str(error)


def training_folder(settings: Settings) -> Path:
    """Where checkpoints, finished models and the jobs beside them are kept.

    Raises `UsageError` where that is not on a file system.
    """
    root = folder_or_url(settings.train.folder) if settings.train.folder else f"{settings.warehouse}/_training"
    if "://" in root:
        raise UsageError(
            f"jobs and checkpoints need a folder on a file system, and {root} is none: set [train] folder to one that "
            "the training's machine and this one both see"
        )
    return Path(os.path.abspath(root))
