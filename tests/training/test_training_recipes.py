"""A recipe is checked whole before anything is loaded; a mistake is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from l2a.errors import UsageError
from training.dry_run import check_length
from training.recipes import load, shipped


@pytest.mark.parametrize("name", shipped())
def test_every_recipe_that_ships_is_whole(name: str) -> None:
    recipe = load(name)
    assert recipe.name == name and recipe.about
    assert recipe.rl_of("gspo").iterations > 1, "with one update a sequence's ratio is 1, and GSPO is GRPO"
    assert recipe.rl_of("cispo").epsilon_high == 5.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[rl]\nlearning_rat = 1", "rl.learning_rat"),
        ("[rl]\nbatch_size = 3\ndevice_batch = 4", "cannot be divided"),
        ("[rl]\nstop_share = 1.5", "rl.stop_share"),
        ("[model]\nmax_length = 40\n[rl]\ncompletion_tokens = 40", "no room"),
        ("[model.tiny]\nhidden = 30\nheads = 4", "hidden"),
        ("[overrides.sft]\nsteps = 1", "overrides"),
        ("[overrides.gspo]\nstepz = 1", "stepz"),
        ("model = ", "not TOML"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        load(str(file))
    assert "\n" not in str(caught.value) or said == "not TOML"


def test_a_recipe_of_ones_own_comes_before_one_that_ships(tmp_path: Path) -> None:
    (tmp_path / "ci.toml").write_text("[sft]\nepochs = 7.0")
    assert load("ci", str(tmp_path)).sft.epochs == 7.0
    with pytest.raises(UsageError, match="laptop"):
        load("nothing-of-that-name", str(tmp_path))


def test_a_context_longer_than_the_models_is_refused() -> None:
    with pytest.raises(UsageError, match="has 128 positions"):
        check_length(load("ci"), 128)
