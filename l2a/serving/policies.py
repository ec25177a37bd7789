"""Registered policies as what one vLLM serves: a whole model, or adapters on one base, each under its condition's name.

A policy is served with the prompts that it was trained on (tokenizer and length), and each name tells its own version
of the weights, so that rollouts are kept under it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from l2a.errors import UsageError
from l2a.model_files import digest
from l2a.registry import ADAPTER, Registry, Version

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM can be prepared for."""
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@dataclass(frozen=True)
class Adapter:
    """Low-rank weights that are served under a name of their own."""

    folder: Path
    version: str


@dataclass(frozen=True)
class Policies:
    """What a server is started with."""

    model: Path | str
    """Folder of the whole model, or hub name of an adapters' base."""
    name: str
    version: str | None
    """Of the whole model; None: it is told by its folder, or nobody asks for it."""
    adapters: Mapping[str, Adapter] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    """For vLLM."""


def policies(registry: Registry, names: Sequence[str], answer_tokens: int) -> Policies:
    """What serves the newest registered models of these conditions (`champion`: the champion's).

    answer_tokens: tokens that an answer may have, beside its prompt. Raises UsageError for a condition without a model,
    and for several that one server cannot hold.
    """
    versions = {name: _version(registry, name) for name in names}
    folders = {name: registry.fetch(version) for name, version in versions.items()}
    whole = [name for name, version in versions.items() if version.kind != ADAPTER]
    adapters = {
        name: Adapter(folders[name], version.model_version)
        for name, version in versions.items()
        if version.kind == ADAPTER
    }
    if len(whole) > 1:
        raise UsageError(
            f"{' and '.join(whole)} are whole models, and a server holds one: start a server for each "
            "(`l2a serve NAME --port N`)"
        )
    base: Path | str
    if adapters:
        base = _base(versions, list(adapters))
        if whole and not (isinstance(base, Path) and digest(base) == versions[whole[0]].model_version):
            raise UsageError(
                f"{whole[0]} is not the model that {' and '.join(adapters)} were trained on: start a server for each"
            )
    else:
        base = folders[whole[0]]
    name = whole[0] if whole else (base.name if isinstance(base, Path) else base).split("@")[0]
    if name in adapters:
        name += "-base"
    arguments = _length(list(versions.values()), base, answer_tokens)
    if adapters:
        arguments += _lora({name: adapter.folder for name, adapter in adapters.items()})
    return Policies(base, name, versions[whole[0]].model_version if whole else None, adapters, arguments)


def _version(registry: Registry, name: str) -> Version:
    version = registry.named(name)
    if version is None:
        there = ", ".join(registry.conditions()) or "none"
        raise UsageError(f"{name} is no folder, and no model is registered as that condition (there are: {there})")
    return version


def _base(versions: Mapping[str, Version], adapters: Sequence[str]) -> Path | str:
    """What the adapters stand on: a folder, or a hub name."""
    bases = {}
    for name in adapters:
        said = versions[name].base
        if not said:
            raise UsageError(f"{versions[name].title} is an adapter, and nothing says on which base: train it again")
        if Path(said).is_absolute() and not Path(said).is_dir():
            raise UsageError(
                f"{versions[name].title} is an adapter on the model in {said}, which is not on this machine: the "
                "folder of trainings ([train] folder) has to be where its policies are served"
            )
        bases[str(Path(said).absolute()) if Path(said).is_dir() else said] = name
    if len(bases) > 1:
        told = ", ".join(f"{name} on {base}" for base, name in bases.items())
        raise UsageError(f"One server holds adapters of one base, and these stand on several ({told}): start one each")
    (base,) = bases
    return Path(base) if Path(base).is_dir() else base


def _length(versions: Sequence[Version], base: Path | str, answer_tokens: int) -> tuple[str, ...]:
    """Prompts were cut to a length in training: a server that takes longer ones would only keep memory for nothing."""
    lengths = [version.max_length for version in versions]
    if any(length is None for length in lengths):
        return ()
    total = max(length for length in lengths if length is not None) + answer_tokens
    if isinstance(base, Path):
        positions = json.loads((base / "config.json").read_text(encoding="utf-8")).get("max_position_embeddings")
        total = min(total, positions or total)
    return ("--max-model-len", str(total))


def _lora(folders: Mapping[str, Path]) -> tuple[str, ...]:
    ranks = [_rank(folder) for folder in folders.values()]
    fitting = [rank for rank in LORA_RANKS if rank >= max(ranks)]
    if not fitting:
        raise UsageError(f"An adapter of rank {max(ranks)} is more than vLLM can serve ({LORA_RANKS[-1]}): merge it.")
    first, *others = folders.values()
    for folder in others:
        # A server has one tokenizer, whoever is asked.
        if _tokenizer(folder) != _tokenizer(first):
            raise UsageError(f"The adapters in {first} and {folder} have different tokenizers: start a server for each")
    tokenizer = ("--tokenizer", str(first)) if (first / "tokenizer_config.json").is_file() else ()
    return (
        *("--enable-lora", "--max-loras", str(len(folders)), "--max-lora-rank", str(fitting[0])),
        *tokenizer,
    )


def _rank(folder: Path) -> int:
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    return max([int(config["r"]), *map(int, (config.get("rank_pattern") or {}).values())])


def _tokenizer(folder: Path) -> list[bytes | None]:
    paths = (folder / name for name in _TOKENIZER_FILES)
    return [path.read_bytes() if path.is_file() else None for path in paths]
