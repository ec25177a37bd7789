"""A recipe is checked whole before anything is loaded; a mistake is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from l2a.errors import UsageError
from l2a.settings import Settings
from training.job import Job
from training.models import check, content_of
from training.recipes import load, shipped
from training.rl import answers_at_once, configuration


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
        ("[rl]\naccumulation = 2", "accumulation follows from device_batch"),
        ("[rl]\nstop_share = 1.5", "rl.stop_share"),
        ("[rl]\nstop_share = 0.02", "0 STOP turns"),
        ("[rl]\nbatch_size = 1", "0 STOP turns"),
        ("[overrides.grpo-sum]\ncompletion_tokens = 600", "no room.*grpo-sum"),
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


def test_a_recipe_that_is_not_utf_8_is_one_sentence_wherever_it_lies(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes('about = "für mich"'.encode("latin-1"))
    for name, folder in ((str(file), None), ("mine", str(tmp_path))):
        with pytest.raises(UsageError, match=r"recipe .*mine\.toml is not UTF-8"):
            load(name, folder)


def test_a_recipe_of_ones_own_comes_before_one_that_ships(tmp_path: Path) -> None:
    (tmp_path / "ci.toml").write_text("[sft]\nepochs = 7.0")
    assert load("ci", str(tmp_path)).sft.epochs == 7.0
    with pytest.raises(UsageError, match="laptop"):
        load("nothing-of-that-name", str(tmp_path))


def test_a_context_longer_than_the_models_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2", "max_position_embeddings": 128}')
    recipe = load("ci")
    starts = recipe.model_copy(update={"model": recipe.model.model_copy(update={"source": str(tmp_path)})})
    with pytest.raises(UsageError, match="has 128 positions"):
        check(starts)
    (tmp_path / "config.json").unlink()
    with pytest.raises(UsageError, match=f"model {tmp_path}: "):
        check(starts)


@pytest.mark.parametrize(
    ("name", "devices", "expected"),
    [("laptop", 1, (80, 1)), ("qwen2.5-7b-lora", 1, (16, 20)), ("qwen2.5-7b-full", 8, (8, 5)),
     ("qwen2.5-32b", 16, (4, 5))],
)  # fmt: skip
def test_a_step_has_as_many_answers_on_any_number_of_devices(
    name: str, devices: int, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(devices))
    part = load(name).rl_of("grpo")
    device, accumulation = answers_at_once(part)
    assert (device, accumulation) == expected
    assert device * accumulation * devices == part.batch_size * part.generations


def test_answers_that_devices_cannot_share_evenly_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(UsageError, match="each of 3 devices"):
        answers_at_once(load("qwen2.5-7b-full").rl_of("grpo"))


@pytest.mark.parametrize("name", ["laptop", "qwen2.5-7b-lora", "qwen2.5-7b-full", "qwen2.5-32b"])
def test_trl_takes_what_a_recipe_becomes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load(name)
    job = Job(Settings(), recipe, tmp_path, [], [], "data", "extractor", 0)
    made = configuration(job, "grpo", recipe.rl_of("grpo"), 10, tmp_path, True)
    assert made.num_generations == 5 and made.max_steps == 10
    assert made.per_device_eval_batch_size % made.num_generations == 0


def test_a_killed_training_goes_on_between_two_sets_of_answers(tmp_path: Path) -> None:
    recipe = load("ci")
    part = recipe.rl_of("gspo").model_copy(update={"iterations": 4, "save_steps": 6})
    job = Job(Settings(), recipe, tmp_path, [], [], "data", "extractor", 0)
    assert configuration(job, "gspo", part, 10, tmp_path, False).save_steps == 8


def test_vllm_takes_no_warm_start_of_adapters(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[model]\nsource = "m"\nlora = {}\n[rl]\nstart = "sft"\nuse_vllm = true\n')
    with pytest.raises(UsageError, match=r"rl\.use_vllm with adapters .* wants rl\.start = 'base'"):
        load(str(mine))


def test_weights_in_a_folder_are_known_by_what_they_are(tmp_path: Path) -> None:
    def named() -> tuple[str, ...]:
        content_of.cache_clear()
        return content_of(str(tmp_path))

    (tmp_path / "model.safetensors").write_bytes(b"one")
    first = named()
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert first != named() and content_of("Qwen/Qwen2.5-7B-Instruct") == ()
