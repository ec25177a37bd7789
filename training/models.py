"""Models on disk: loaded to be trained, and saved in the flat form that the registry and vLLM take."""

from __future__ import annotations

import functools
import gc
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from l2a.dialogue.types import STOP_MARK
from l2a.errors import UsageError
from l2a.model_files import digest
from training.recipes import Model, Recipe

ADAPTER = "adapter_config.json"


def tokenizer_of(source: str | Path) -> Any:
    """The tokenizer, with the STOP mark as one token that a decoded text keeps."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(source))
    if len(tokenizer(STOP_MARK, add_special_tokens=False)["input_ids"]) > 1 and is_tiny(source):
        raise ValueError(f"the tokenizer in {source} splits {STOP_MARK}")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def config_of(recipe: Model) -> Any:
    """The configuration of the model that a recipe starts from. Raises `UsageError` where there is none."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(recipe.source)
    except (OSError, ValueError) as error:
        raise UsageError(f"model {recipe.source}: {str(error).splitlines()[0]}") from None


def check(recipe: Recipe, *, updates: bool = False) -> None:
    """Raises `UsageError` where the model is not there, prompts may be longer than it has positions for, or (updates:
    weights are about to be trained here) its updates would be lost in rounding."""
    if recipe.model.source == "tiny":
        return
    full_bfloat16 = recipe.model.lora is None and recipe.model.dtype == "bfloat16"
    if updates and full_bfloat16 and not on_cpu() and not _sharded():
        raise UsageError(
            f"recipe {recipe.name} trains all weights in bfloat16, where small updates are rounded away unless FSDP or "
            "DeepSpeed keeps them in float32 beside it: start it with `accelerate launch` and such a configuration, or "
            "train adapters (model.lora)"
        )
    positions = getattr(config_of(recipe.model), "max_position_embeddings", None)
    if positions is not None and recipe.model.max_length > positions:
        raise UsageError(
            f"recipe {recipe.name}: model.max_length is {recipe.model.max_length}, but {recipe.model.source} has "
            f"{positions} positions"
        )


def _sharded() -> bool:
    """Whether `accelerate launch` was told to use FSDP or DeepSpeed."""
    told = (os.environ.get(f"ACCELERATE_USE_{name}", "") for name in ("FSDP", "DEEPSPEED"))
    return any(value.lower() == "true" for value in told)


def load_for_training(source: str | Path, recipe: Model) -> Any:
    """The model in the recipe's precision; a folder with an adapter gives its base model with it, trainable."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, recipe.dtype)
    if (Path(source) / ADAPTER).is_file():
        from peft import PeftConfig, PeftModel

        base = PeftConfig.from_pretrained(str(source)).base_model_name_or_path
        model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
        return PeftModel.from_pretrained(model, str(source), is_trainable=True)
    return AutoModelForCausalLM.from_pretrained(str(source), dtype=dtype)


def adapters(source: str | Path, recipe: Model) -> Any:
    """The configuration of new adapters; None where the recipe trains all weights or the model has its adapter."""
    if recipe.lora is None or (Path(source) / ADAPTER).is_file():
        return None
    from peft import LoraConfig

    lora = recipe.lora
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        task_type="CAUSAL_LM",
    )


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Writes model (or its adapter) and tokenizer into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


def cast(folder: Path, dtype: str) -> None:
    """Rewrites the weights of a saved model in a recipe's precision: FSDP trains, and gathers, in float32."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    wanted = getattr(torch, dtype)
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as held:
            told = held.metadata()
            weights = {name: held.get_tensor(name) for name in held.keys()}  # noqa: SIM118 it is no dict
        if any(one.is_floating_point() and one.dtype != wanted for one in weights.values()):
            save_file({n: one.to(wanted) if one.is_floating_point() else one for n, one in weights.items()}, file, told)
    config = folder / "config.json"
    if config.is_file():
        said = json.loads(config.read_text(encoding="utf-8"))
        config.write_text(json.dumps({**said, "dtype": dtype}, indent=2) + "\n", encoding="utf-8")


def base_of(folder: Path) -> str | None:
    """The model that an adapter stands on; None: the folder holds a whole model."""
    file = folder / ADAPTER
    if not file.is_file():
        return None
    return str(json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"])


def copy_tokenizer(source: str | Path, folder: Path) -> None:
    """Tiny models keep the tokenizer files that they were made with, byte for byte."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(Path(source) / name, folder / name)


def is_tiny(source: str | Path) -> bool:
    """Whether `training.tiny` made the tokenizer there."""
    return Path(source).is_dir() and "<|may_stop|>" in (Path(source) / "tokenizer_config.json").read_text("utf-8")


def on_cpu() -> bool:
    import torch

    return not torch.cuda.is_available()


def release() -> None:
    """Gives back the memory of models that nobody uses any more; trainers are cycles, which wait for the collector."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


@functools.cache
def content_of(source: str) -> tuple[str, ...]:
    """A digest of the files where `source` is a folder, whose path says nothing of what lies in it; else nothing."""
    return (digest(Path(source)),) if Path(source).is_dir() else ()


def share_cores() -> None:
    """Lets a tiny model use all cores that others leave free; called before anything imports torch.

    By default OpenMP's threads wait awake and take the cores from each other, and from whoever else works there: a step
    beside one other busy process took three times as long with two threads as with one. Asleep, they are faster.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    elif "OMP_NUM_THREADS" not in os.environ and on_cpu():
        sys.modules["torch"].set_num_threads(1)


def trainer_settings(folder: Path, part: Any, seed: int, dtype: str) -> dict[str, Any]:
    """What every TRL configuration here has in common. TRL's own default is bf16, which a CPU only emulates."""
    cpu = on_cpu()
    return {
        "output_dir": str(folder),
        "learning_rate": part.learning_rate,
        "lr_scheduler_type": part.schedule,
        "warmup_steps": part.warmup,
        "seed": seed,
        "data_seed": seed,
        "use_cpu": cpu,
        "bf16": dtype == "bfloat16" and not cpu,
        "gradient_checkpointing": not cpu,
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 5,
        "save_strategy": "steps",
        "save_steps": part.save_steps,
        "save_total_limit": 2,
        "dataloader_pin_memory": not cpu,
    }
