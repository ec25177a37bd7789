"""What a training does: a recipe in TOML, every field typed and checked before any model is loaded.

recipe = load("laptop")             # one that ships
recipe = load("mine/recipe.toml")   # a file of one's own
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from l2a.errors import UsageError

Method = Literal["base", "sft", "dpo", "grpo", "gspo", "cispo", "grpo-no-ra", "grpo-no-rs", "grpo-sum"]
RL_METHODS = ("grpo", "gspo", "cispo", "grpo-no-ra", "grpo-no-rs", "grpo-sum")
BASELINE = "sft"
"""What a grid compares the others with."""


class Part(BaseModel):
    """A part of a recipe; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Lora(Part):
    """Low-rank adapters instead of all weights (arXiv 2106.09685)."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: str | list[str] = "all-linear"


class Tiny(Part):
    """Sizes of a model made from scratch: Qwen2's architecture, a byte-level BPE learnt from the train logs."""

    vocabulary: int = Field(default=1500, ge=300)
    hidden: int = Field(default=128, ge=8)
    layers: int = Field(default=3, ge=1)
    heads: int = Field(default=4, ge=1)
    intermediate: int = Field(default=384, ge=8)

    @model_validator(mode="after")
    def _divisible(self) -> Tiny:
        if self.hidden % self.heads or (self.hidden // self.heads) % 2:
            raise ValueError(f"hidden ({self.hidden}) over heads ({self.heads}) has to be a whole, even number")
        return self


class Model(Part):
    """Where every condition starts."""

    source: str = "tiny"
    """`tiny`, a folder, or a hub name."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    max_length: int = Field(default=512, ge=32)
    """Tokens of a prompt and its answer together; a longer prompt loses its oldest messages."""
    tiny: Tiny = Tiny()
    lora: Lora | None = None


class Fitting(Part):
    """What every stage that optimizes has."""

    learning_rate: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    """Sequences a device takes at once."""
    accumulation: int = Field(default=1, ge=1)
    epochs: float = Field(default=1.0, gt=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of the steps."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    save_steps: int = Field(default=50, ge=1)
    """A checkpoint every so many steps: what a killed training loses at most."""


class Base(Fitting):
    """Pretraining of a tiny model as a plain language model."""

    learning_rate: float = Field(default=3e-3, gt=0)
    batch_size: int = Field(default=16, ge=1)
    epochs: float = Field(default=6.0, gt=0)
    stop_share: float = Field(default=0.06, ge=0, lt=1)
    """Of the expert's turns, those that read `<stop />`, at random: a base model that knows the mark, not its time."""


class Sft(Fitting):
    """The expert's next utterance, `<stop />` at STOP."""

    learning_rate: float = Field(default=2e-3, gt=0)
    batch_size: int = Field(default=16, ge=1)
    epochs: float = Field(default=6.0, gt=0)
    user_turns: bool = False
    """Whether what users say is learnt too."""
    stop_weight: int = Field(default=1, ge=1)
    """How often a dialogue's STOP is shown."""


class Dpo(Fitting):
    """Chosen: the expert's utterance; rejected: one that is irrelevant to all that the dialogue holds."""

    learning_rate: float = Field(default=2e-4, gt=0)
    batch_size: int = Field(default=16, ge=1)
    beta: float = Field(default=0.1, gt=0)
    sft_weight: float = Field(default=0.0, ge=0)
    """Weight of the chosen utterance's own likelihood beside the preference (arXiv 2404.19733); 0 as published. Where
    rejected utterances are told apart at a glance, nothing else keeps a small model from unlearning its language."""
    start: Literal["base", "sft"] = "base"


class Rl(Fitting):
    """GRPO and its kin (arXiv 2510.25441, section 4.3)."""

    learning_rate: float = Field(default=5e-4, gt=0)
    batch_size: int = Field(default=16, ge=1)
    """Prompts a step, each with `generations` answers."""
    schedule: Literal["cosine", "linear", "constant"] = "linear"
    steps: int | None = Field(default=None, ge=1)
    """Sets of prompts; unset: as many as `epochs` give."""
    generations: int = Field(default=5, ge=2)
    completion_tokens: int = Field(default=32, ge=4)
    temperature: float = Field(default=1.0, gt=0)
    reward_beta: float = Field(default=2.0, ge=0)
    kl: float = Field(default=0.0, ge=0)
    """Weight of the divergence from the model that RL starts from, TRL's `beta`; 0 as published. Keeps a small model,
    whose grader reads meaning and not grammar, from unlearning its language."""
    stop_share: float = Field(default=1 / 3, gt=0, lt=1)
    """Of the prompts, those at STOP turns."""
    start: Literal["base", "sft"] = "base"
    """`base` as published; `sft`: a warm start on part of the train dialogues that RL then does not see."""
    warm_share: float = Field(default=0.4, gt=0, lt=1)
    warm: Sft = Sft(epochs=5.0)
    iterations: int = Field(default=1, ge=1)
    """Updates on one set of answers. GSPO and CISPO differ from GRPO only above 1."""
    epsilon: float | None = Field(default=None, gt=0)
    epsilon_high: float | None = Field(default=None, gt=0)
    device_batch: int | None = Field(default=None, ge=1)
    """Answers a device takes at once; unset: all of a step."""
    use_vllm: bool = False
    vllm_mode: Literal["colocate", "server"] = "colocate"
    vllm_server: str | None = None
    """Address of `trl vllm-serve` for mode `server`; unset: port 8000 of this machine."""
    vllm_memory: float = Field(default=0.3, gt=0, lt=1)
    eval_turns: int = Field(default=200, ge=0)
    """Dev turns on which the reward and the second grader are measured while it trains."""
    eval_steps: int = Field(default=50, ge=1)

    @model_validator(mode="after")
    def _batches(self) -> Rl:
        answers = self.batch_size * self.generations
        if self.accumulation != 1:
            raise ValueError("accumulation follows from device_batch here: leave it out")
        if self.device_batch is not None and answers % self.device_batch:
            raise ValueError(
                f"batch_size x generations ({answers}) cannot be divided by device_batch ({self.device_batch})"
            )
        if not 0 < self.stops_a_batch < self.batch_size:
            raise ValueError(
                f"of batch_size ({self.batch_size}) prompts, stop_share ({self.stop_share:g}) are {self.stops_a_batch} "
                "STOP turns: each batch needs some, and some others"
            )
        return self

    @property
    def stops_a_batch(self) -> int:
        """Prompts of a step that are STOP turns."""
        return round(self.batch_size * self.stop_share)


class Grid(Part):
    """What `l2a grid` trains and compares."""

    conditions: tuple[Method, ...] = ("base", "sft", "grpo")
    seeds: int = Field(default=1, ge=1)
    samples: int = Field(default=1, ge=1)
    """Rollouts a turn at temperature 1."""
    greedy: bool = True


class Recipe(Part):
    """A whole recipe. `overrides` holds, per method, fields of [rl] that differ from it."""

    name: str
    about: str = ""
    model: Model = Model()
    base: Base = Base()
    sft: Sft = Sft()
    dpo: Dpo = Dpo()
    rl: Rl = Rl()
    overrides: dict[Method, dict[str, Any]] = {}
    grid: Grid = Grid()

    @model_validator(mode="after")
    def _overrides_fit(self) -> Recipe:
        for changed in self.overrides:
            if changed not in RL_METHODS:
                raise ValueError(f"overrides.{changed}: only {', '.join(RL_METHODS)} share [rl]")
        for method in RL_METHODS:
            part = self.rl_of(method)
            answer = part.completion_tokens
            if self.model.max_length <= answer:
                raise ValueError(
                    f"model.max_length ({self.model.max_length}) leaves no room beside rl.completion_tokens ({answer}) "
                    f"of {method}"
                )
            if self.model.lora and part.use_vllm and part.start == "sft":
                # The warm start's folder holds an adapter, and TRL takes whole models for vLLM.
                raise ValueError(f"rl.use_vllm with adapters (model.lora) wants rl.start = 'base', also for {method}")
        return self

    def rl_of(self, method: str) -> Rl:
        """[rl] as `method` uses it: its own overrides over it, and what the published variants fix."""
        fixed: dict[str, Any] = {}
        if method == "gspo":
            fixed = {"epsilon": 3e-4, "epsilon_high": 4e-4, "iterations": 2}
        elif method == "cispo":
            fixed = {"epsilon_high": 5.0, "iterations": 2}
        return Rl.model_validate({**self.rl.model_dump(), **fixed, **self.overrides.get(method, {})})  # type: ignore[call-overload]


def shipped() -> list[str]:
    """Names of the recipes that ship."""
    return sorted(f.name.removesuffix(".toml") for f in files(__package__).joinpath("recipes").iterdir()
                  if f.name.endswith(".toml"))  # fmt: skip


def load(name: str, folder: str | None = None) -> Recipe:
    """A recipe by name (one in `folder`, else one that ships) or by file.

    Raises `UsageError` naming the field that is unknown, of the wrong type or out of range.
    """
    path = Path(name)
    own = Path(folder, f"{name}.toml") if folder else None
    if path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"there is no recipe file {path}")
        text = _read(path)
    elif own is not None and own.is_file():
        text = _read(own)
    elif name in shipped():
        text = files(__package__).joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8")
    else:
        raise UsageError(f"no recipe {name}: give a file ending in .toml, or one of {', '.join(shipped())}")
    try:
        return Recipe.model_validate({"name": path.name.removesuffix(".toml"), **tomllib.loads(text)})
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"recipe {name} is not TOML: {error}") from None
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors(include_input=False)]
        raise UsageError(f"recipe {name}: " + "; ".join(lines)) from None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"recipe {file} is not UTF-8: {error}; save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"recipe {file} cannot be read ({error.strerror}): name another") from None
