"""Every setting of l2a, typed, with its default and its meaning.

A value comes from, strongest first: an option of the command, the environment (`L2A_WAREHOUSE`, `L2A_SPARK__MASTER`:
two underscores lead into a section), the file given by `--config` (or `L2A_CONFIG`, or `./l2a.toml` if there is one),
the default. `l2a.toml.example` is made from this module by `python -m l2a.settings`.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from l2a.errors import UsageError
from l2a.llm.settings import LLMSettings

DEFAULT_FILE = "l2a.toml"


class Section(BaseModel):
    """A part of the settings; an unknown name in it is an error, so that a typing mistake is not silently ignored."""

    model_config = ConfigDict(extra="forbid")


class SparkSettings(Section):
    """How a Spark session is made where none exists yet. Under spark-submit they are not read: what is submitted is."""

    master: str = Field(default="local[*]", description="Spark master of sessions that l2a starts itself.")
    driver_memory: str = Field(default="3g", description="Heap of a local driver.")
    shuffle_partitions: int | None = Field(
        default=None,
        ge=1,
        description="Partitions of a shuffle; unset: one per local core, Spark's choice on a cluster.",
    )
    jars: str | None = Field(
        default=None,
        description="Folder of Delta's jars, for closed networks; unset: resolved from Maven on first use.",
    )
    ivy: str | None = Field(default=None, description="Folder of the Ivy cache; unset: Spark's default.")
    log: str | None = Field(
        default=None, description="File for Spark's own log; unset: a file in the temporary folder."
    )
    conf: dict[str, str] = Field(default_factory=dict, description="Any further Spark configuration, as it is.")

    @field_validator("master")
    @classmethod
    def _threads(cls, master: str) -> str:
        local = master.startswith("local") and not master.startswith("local-cluster[")
        if local and not re.fullmatch(r"local(\[([1-9][0-9]*|\*)( *, *[0-9]+)?\])?", master):
            raise ValueError(f"{master} is no master of Spark's: write local[4], or local[*] for all cores")
        return master


class IngestSettings(Section):
    """Reading logs."""

    max_message_bytes: int = Field(
        default=16 * 1024 * 1024, ge=1, description="A larger message is quarantined (bytes)."
    )
    max_line_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=1,
        le=120 * 1024 * 1024,
        description="A longer input line is quarantined unparsed (bytes).",
    )
    quarantine_raw_characters: int = Field(
        default=64 * 1024, ge=0, description="So much of a rejected line is kept (characters)."
    )
    split_shares: tuple[int, int, int] = Field(default=(8, 1, 1), description="Shares of train, dev and eval.")
    null_outcome_is_success: bool = Field(
        default=True, description="Whether a dialogue without an outcome counts as successful, and so is used."
    )

    @model_validator(mode="after")
    def _shares(self) -> IngestSettings:
        if min(self.split_shares) < 0 or sum(self.split_shares) == 0:
            raise ValueError("split_shares needs three numbers, none negative and not all zero")
        return self


class JudgeSettings(Section):
    """Who extracts and grades."""

    extractor: str = Field(default="embedded", description="`embedded`, `llm`, or the full name of a fitted version.")
    grader: str = Field(default="embedded", description="`embedded`, `llm`, or the full name of a fitted version.")
    size: str = Field(
        default="full",
        pattern="^(small|full)$",
        description="The embedded judge: full learns for minutes, small within one, and grades worse.",
    )
    max_fit_dialogues: int = Field(default=2000, ge=1, description="The judge is fitted on at most so many dialogues.")
    seed: int = Field(default=0, description="Seed of everything random in fitting.")
    prompt_form: Literal["prefix", "paper"] = Field(
        default="prefix", description="LLM judges: what is shared first, for prefix caches, or the published order."
    )
    extraction: Literal["dialogue", "turn"] = Field(
        default="dialogue", description="LLM extractor: one call a dialogue, or one a turn as published."
    )
    extraction_max_tokens: int = Field(default=1024, ge=1, description="LLM extractor: longest answer (tokens).")


class ObjectiveSettings(Section):
    """What of the extracted information is worth asking: generic attributes are asked of everyone."""

    drop_generic: bool = Field(
        default=True, description="Leave generic attributes out of the information; false: only list them."
    )
    generic_share: float = Field(
        default=0.95, gt=0, le=1, description="Generic: supplied in at least this share of a domain's train dialogues,"
    )
    generic_context_effect: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        description="and the chance that it is still to be supplied changes by no more than this with what came last,",
    )
    generic_min_dialogues: int = Field(
        default=50, ge=1, description="in a domain with at least so many train dialogues."
    )
    generic_file: str | None = Field(
        default=None, description="TOML file in which a person decides: domain, attribute = true or false."
    )


class EvaluateSettings(Section):
    """Metrics."""

    beta: float = Field(default=2.0, ge=0, description="Weight of R_a in the reward (method: 2).")
    replicates: int = Field(default=1000, ge=100, description="Bootstrap replicates behind an interval.")
    baseline: str | None = Field(
        default=None, description="The condition that the others are compared with, in pairs; unset: none is."
    )
    max_slice_values: int = Field(
        default=200, ge=1, description="So many experts and domains have metrics of their own; the others are `other`."
    )
    warn_share: float = Field(
        default=0.05, ge=0, le=1, description="A larger share of ungraded rollouts or left out turns is warned of."
    )
    samples: int = Field(default=5, ge=1, description="Rollouts a turn for sampled conditions.")
    temperature: float = Field(default=1.0, gt=0, description="Of rollouts; greedy ones have 0.")
    rollout_max_tokens: int = Field(default=256, ge=1, description="Longest answer of a policy (tokens).")


class TrainSettings(Section):
    """Training, and where models are kept."""

    tracking_uri: str | None = Field(
        default=None, description="MLflow's tracking server or database; unset: SQLite in the warehouse's _mlflow."
    )
    experiment: str = Field(default="l2a", description="MLflow's experiment that trainings are runs of.")
    folder: str | None = Field(
        default=None, description="Folder of checkpoints and finished models; unset: the warehouse's _training."
    )
    recipes: str | None = Field(default=None, description="A folder of recipes of one's own, beside those that ship.")
    perplexity_margin: float = Field(
        default=0.1,
        ge=0,
        description="Promotion: so much more perplexity of ordinary text than the champion's (share).",
    )
    lm_eval_tasks: tuple[str, ...] = Field(
        default=(), description="Promotion: tasks of lm-evaluation-harness on which a model may not be worse."
    )


class NightlySettings(Section):
    """The nightly ingestion and its checks."""

    landing: str = Field(default="./landing", description="Folder or URL of the nights: dt=YYYY-MM-DD below it.")
    mapping: str | None = Field(default=None, description="How the logs are to be read; unset: native.")
    schedule: str = Field(default="0 2 * * *", description="When a night is taken (cron, UTC): after its midnight.")
    first_night: str | None = Field(
        default=None,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="Catch up from this night on (YYYY-MM-DD); unset: nights from now on, earlier ones by backfill.",
    )
    max_quarantined_share: float = Field(
        default=0.05, ge=0, le=1, description="A night of which a larger share of lines was rejected goes red."
    )
    max_failed_extractions: float = Field(
        default=0.05, ge=0, le=1, description="A night of which extraction failed for a larger share of turns goes red."
    )


class RetrainSettings(Section):
    """When a policy is trained again, and how."""

    method: str = Field(default="grpo", pattern="^[a-z0-9][a-z0-9-]*$", description="What `l2a train` is told to do.")
    recipe: str = Field(default="laptop", description="The recipe, by name or file.")
    min_new_turns: int = Field(default=1000, ge=1, description="So many new usable train turns are enough,")
    min_new_share: float = Field(default=0.1, gt=0, description="or this share of those of the last training;")
    min_days: float = Field(default=1.0, ge=0, description="but not before so many days after it.")
    timeout_hours: float = Field(default=48.0, gt=0, description="A training that takes longer is ended.")
    poll_seconds: float = Field(default=60.0, ge=1, description="How often it is looked at.")


class MaintenanceSettings(Section):
    """Keeping tables fast and folders small."""

    retain_hours: float = Field(
        default=336.0,
        ge=168.0,
        description="Files of old table versions are kept so long: longer than any run, training or query takes.",
    )
    retain_checkpoints_days: float = Field(
        default=14.0, ge=1, description="Checkpoints of trainings that are over, and their jobs' folders, are kept so."
    )


class LauncherSettings(Section):
    """How jobs such as trainings are started, and found again.

    Placeholders of the commands: {name}, {command} (quoted for a shell), {id} (the last line that submit printed),
    {start} (1, 2, ...), {folder} (the job's own).
    """

    kind: Literal["local", "command"] = Field(
        default="local", description="`local`: a detached process of this machine; `command`: by the commands below."
    )
    max_starts: int = Field(default=3, ge=1, description="A job that died is started so often in all.")
    submit: str | None = Field(default=None, description='Starts a job: "sbatch --parsable --wrap {command}".')
    status: str | None = Field(default=None, description='Prints its state: "sacct -j {id} -X -n -o State".')
    cancel: str | None = Field(default=None, description='Ends it: "scancel {id}".')
    logs: str | None = Field(default=None, description='Prints what it said: "ssh gpu cat slurm-{id}.out".')
    find: str | None = Field(
        default=None, description="Prints the id of the job {name}, or nothing: asked when a submission was cut off."
    )
    running_words: tuple[str, ...] = Field(
        default=("running", "pending", "configuring", "completing", "requeued", "suspended", "active"),
        description="What status prints for a job that runs or waits, in any case.",
    )
    finished_words: tuple[str, ...] = Field(
        default=("finished", "completed", "complete", "succeeded"), description="For one that ended well."
    )
    died_words: tuple[str, ...] = Field(
        default=("died", "node_fail", "preempted", "boot_fail", "out_of_memory"),
        description="For one that was killed from outside, so that starting it again helps. Other words: it failed.",
    )


class Settings(BaseSettings):
    """All settings. Raises `UsageError` through `load` when one is unknown or out of range."""

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
        return Settings(options=options or {}, file=file)  # type: ignore[call-arg]
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


def folder_or_url(text: str) -> str:
    """A place as all who read it take it: a folder of this machine as a plain path, any other URL as it is.

    Spark, delta-rs, DuckDB and MLflow each read `~` and file: URLs in their own way, so none of them is given one.
    Raises `UsageError` for a file: URL that names no folder of this machine.
    """
    if text.startswith("file:"):
        parts = urlsplit(text, allow_fragments=False)
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise UsageError(
                f"{text} names no folder of this machine: write a path, or file:/// and a path from the root"
            )
        text = unquote(parts.path)
    elif "://" in text:
        return text.rstrip("/")
    return os.path.expanduser(text).rstrip("/") or text


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


def example() -> str:
    """The text of `l2a.toml.example`: every setting with its default, its meaning and its environment variable."""
    lines = [
        "# Every setting of l2a with its default. Copy to l2a.toml and keep what differs.",
        "# In the environment, lists and tables are written as JSON.",
        "",
    ]
    lines += _example_lines(Settings, ())
    return "\n".join(lines).rstrip() + "\n"


def _example_lines(model: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    sections = []
    tables: list[str] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            sections.append((name, field.annotation))
            continue
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            default = default.model_dump(exclude_none=True)
        about = [f"# {field.description}", f"# Environment: L2A_{'__'.join((*path, name)).upper()}"]
        if default == {}:
            # `name = {}` would forbid the section of that name, which is how one writes it; after it, no other setting
            # of this section could follow.
            entry = _toml(_sample(get_args(field.annotation)[1]))
            tables += [*about, f"# [{'.'.join((*path, name))}]", f'# "name" = {entry}', ""]
            continue
        lines += about
        lines += [f"# {name} = (unset)" if default is None else f"{name} = {_toml(default)}", ""]
    lines += tables
    for name, section in sections:
        lines += [f"# {(section.__doc__ or '').splitlines()[0]}", f"[{'.'.join((*path, name))}]", ""]
        lines += _example_lines(section, (*path, name))
    return lines


def _sample(kind: Any) -> Any:
    """A value of a type: what stands in an entry of a table that has none by default."""
    if issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        return {name: _sample(field.annotation) for name, field in fields if field.is_required()}
    return "value" if kind is str else kind(1)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }" if value else "{}"
    return json.dumps(value)


if __name__ == "__main__":
    print(example(), end="")
