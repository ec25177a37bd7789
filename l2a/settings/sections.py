"""The sections of the settings: each setting typed, with its default and its meaning."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """A part of the settings; an unknown name in it is an error, so that a typing mistake is not silently ignored."""

    model_config = ConfigDict(extra="forbid")


SECRET_NAMES = r"(?i)secret|password|token|credential|(access|account|private|encryption)[.]?key|[.]sas[.]"
"""What looks like a secret by its name; Python and Java (`spark.redaction.regex`) read it alike."""


class SparkSettings(Section):
    """How a Spark session is made where none exists yet. The DAGs use these settings, too."""

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

    @property
    def secrets(self) -> dict[str, str]:
        """What of `conf` must stand on no command line, in no log and in no DAG; a driver reads it from here."""
        return {name: value for name, value in self.conf.items() if re.search(SECRET_NAMES, name)}

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
        description="A longer input line is quarantined unparsed (bytes). Escaped, as Python's json.dumps writes it, "
        "text takes up to three times what it takes in UTF-8.",
    )
    quarantine_raw_characters: int = Field(
        default=64 * 1024, ge=0, description="Characters of a rejected line that are kept."
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
    size: Literal["small", "full"] = Field(
        default="full",
        description="The embedded judge: full learns for minutes, small within one, and grades worse.",
    )
    max_fit_dialogues: int = Field(default=2000, ge=1, description="Dialogues that the judge is fitted on, at most.")
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
        default=0.95,
        gt=0,
        le=1,
        description="An attribute is generic if at least this share of a domain's train dialogues supply it.",
    )
    generic_context_effect: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        description="Generic only if what was supplied last changes the chance that it comes later by at most this.",
    )
    generic_min_dialogues: int = Field(
        default=50, ge=1, description="No attribute is generic in a domain with fewer train dialogues."
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
        default=200,
        ge=1,
        description="Experts and domains with metrics of their own, at most; the rest are pooled as `other`.",
    )
    warn_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="`l2a evaluate` warns of a larger share of ungraded rollouts or left out turns.",
    )
    samples: int = Field(default=5, ge=1, description="Rollouts a turn for sampled conditions.")
    temperature: float = Field(default=1.0, gt=0, description="Sampling temperature of rollouts; greedy ones have 0.")
    rollout_max_tokens: int = Field(default=256, ge=1, description="Longest answer of a policy (tokens).")


class TrainSettings(Section):
    """Training, and where models are kept."""

    tracking_uri: str | None = Field(
        default=None, description="MLflow's tracking server or database; unset: SQLite in the warehouse's _mlflow."
    )
    experiment: str = Field(
        default="l2a",
        description="MLflow's experiment that trainings are runs of. Warehouses with one MLflow need one each.",
    )
    folder: str | None = Field(
        default=None, description="Folder of checkpoints and finished models; unset: the warehouse's _training."
    )
    recipes: str | None = Field(default=None, description="A folder of recipes of one's own, beside those that ship.")
    perplexity_margin: float = Field(
        default=0.1,
        ge=0,
        description="Promotion: the share by which perplexity of ordinary text may exceed the champion's.",
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
        description="Catch up from this night on (YYYY-MM-DD); unset: each night as it comes, and a night that was "
        "missed (the DAG was paused, the scheduler stood still) only by backfill.",
    )
    max_quarantined_share: float = Field(
        default=0.05, ge=0, le=1, description="A night of which a larger share of lines was rejected goes red."
    )
    max_failed_extractions: float = Field(
        default=0.05, ge=0, le=1, description="A night of which extraction failed for a larger share of turns goes red."
    )


class RetrainSettings(Section):
    """When a policy is trained again, and how."""

    method: str = Field(default="grpo", pattern="^[a-z0-9][a-z0-9-]*$", description="The method of `l2a train`.")
    recipe: str = Field(default="laptop", description="The recipe, by name or file.")
    min_new_turns: int = Field(default=1000, ge=1, description="Retrain after this many new usable train turns.")
    min_new_share: float = Field(
        default=0.1, gt=0, description="Or as soon as they are this share of the last training's."
    )
    min_days: float = Field(default=1.0, ge=0, description="Days after the last training before which none starts.")
    timeout_hours: float = Field(default=48.0, gt=0, description="A training that takes longer is ended.")
    poll_seconds: float = Field(default=60.0, ge=1, description="Seconds between two looks at a running training.")


class MaintenanceSettings(Section):
    """Keeping tables fast and folders small."""

    retain_hours: float = Field(
        default=336.0,
        ge=168.0,
        description="How long files of old table versions are kept: longer than any run, training or query takes.",
    )
    retain_checkpoints_days: float = Field(
        default=14.0,
        ge=1,
        description="Days for which checkpoints and job folders of trainings that are over are kept.",
    )


class LauncherSettings(Section):
    """How jobs such as trainings are started, and found again (placeholders of the commands: docs/operations.md).

    Placeholders of the commands: {name}, {command} (quoted for a shell), {id} (the last line that submit printed),
    {start} (1, 2, ...), {folder} (the job's own).
    """

    kind: Literal["local", "command"] = Field(
        default="local", description="`local`: a detached process of this machine; `command`: by the commands below."
    )
    max_starts: int = Field(default=3, ge=1, description="Starts of a job that keeps dying, in all.")
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
        default=("finished", "completed", "complete", "succeeded"),
        description="What status prints for a job that ended well.",
    )
    died_words: tuple[str, ...] = Field(
        default=("died", "node_fail", "preempted", "boot_fail", "out_of_memory"),
        description="What it prints for one that was killed from outside: it is started again. Other words: it failed.",
    )
