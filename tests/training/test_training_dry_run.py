"""What `--dry-run` says of a training before it begins: its steps, and how long they take."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from training_tables import EXTRACTOR, make_warehouse

from l2a.settings import Settings
from training.dry_run import dry_run
from training.recipes import Recipe

DIALOGUES, TURNS_A_DIALOGUE = 40, 3


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_warehouse(tmp_path_factory.mktemp("warehouse"), train=DIALOGUES, dev=0)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of 7 thousand million parameters, as far as a dry run looks: its configuration."""
    folder = tmp_path_factory.mktemp("model")
    sizes = {"hidden_size": 3584, "num_hidden_layers": 28, "intermediate_size": 18944, "vocab_size": 152064}
    heads = {"num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 32768}
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2", **sizes, **heads}))
    return str(folder)


def told(warehouse: Path, source: str, method: str) -> dict[str, float]:
    """The first number of each line, by what the line is about."""
    part: dict[str, Any] = {"batch_size": 8, "epochs": 2}
    recipe = Recipe.model_validate({"name": "r", "model": {"source": source}, "sft": part, "dpo": part, "base": part})
    options = {"warehouse": str(warehouse), "judge": {"extractor": EXTRACTOR}}
    lines = dry_run(Settings.model_validate({"options": options}), recipe, method, 0)
    return {
        line.split()[0]: float(found[0].replace(",", ""))
        for line in lines
        if (found := re.search(r"(?<= )[\d,]*\.?\d+", line))
    }


def test_dpo_learns_from_a_pair_a_turn(warehouse: Path, large: str) -> None:
    sft, dpo = told(warehouse, large, "sft"), told(warehouse, large, "dpo")
    assert sft["steps"] == 2 * DIALOGUES / 8
    assert dpo["steps"] == 2 * DIALOGUES * TURNS_A_DIALOGUE / 8
    # Contexts of the three turns hold 1, 3 and 5 messages, each read twice; a dialogue's sequence holds all of them.
    assert dpo["hours"] > 2.5 * sft["hours"]


def test_an_epochs_last_step_takes_what_is_left(tmp_path: Path, large: str) -> None:
    assert told(make_warehouse(tmp_path, train=9, dev=0), large, "sft")["steps"] == 2 * 2


def test_a_models_parameters_are_counted_not_guessed(warehouse: Path, large: str) -> None:
    # What Qwen2.5-7B, whose sizes these are, is published to have.
    assert told(warehouse, large, "sft")["model"] == pytest.approx(7615.6, abs=0.1)


def test_a_base_model_from_elsewhere_is_not_trained(warehouse: Path, large: str) -> None:
    base, sft = told(warehouse, large, "base"), told(warehouse, large, "sft")
    assert (base["steps"], base["hours"]) == (0, 0)
    assert 0 < base["memory"] < sft["memory"] / 2, "weights alone"
    assert told(warehouse, "tiny", "base")["steps"] == 2 * DIALOGUES / 8
