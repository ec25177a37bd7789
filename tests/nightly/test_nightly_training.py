"""What a retraining is compared with, and what the weekly evaluation measures: the champion itself, not its name."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest
from registered import register, settings_of
from whole_tables import table

from l2a.nightly.training import READS, Plan, conditions, in_production, plan
from l2a.promotion.command import promote
from l2a.registry import Registry, Version
from l2a.settings import Settings

NOW = dt.datetime(2026, 11, 22, 4, 0, tzinfo=dt.UTC)


def planned(settings: Settings) -> Plan:
    found, _ = plan(settings, NOW, force=True)
    assert found is not None
    return found


def trained(folder: Path, weights: str) -> str:
    model = folder / "models" / weights
    model.mkdir(parents=True)
    (model / "model.safetensors").write_text(weights)
    return register(folder, "grpo", model)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in READS:
        table(tmp_path, name, {"session_id": "s"})
    return settings_of(tmp_path)


@pytest.fixture
def crowned(settings: Settings, tmp_path: Path) -> Version:
    """Version 1 of `grpo` is champion; version 2 was trained by hand and never promoted."""
    trained(tmp_path, "first")
    registry = Registry.open(settings)
    first = registry.newest("grpo")
    assert first is not None
    registry.crown(first, "somebody", "the first")
    trained(tmp_path, "second")
    return first


def test_a_retraining_is_compared_with_the_champion_though_its_condition_was_trained_again(
    settings: Settings, crowned: Version
) -> None:
    found = planned(settings)
    assert Registry.open(settings).named(found.baseline) == crowned
    assert found.champion == "grpo"


def test_the_champion_is_measured_beside_the_newest_version_of_its_condition(
    settings: Settings, crowned: Version
) -> None:
    assert sorted(conditions(settings)) == ["champion", "expert", "grpo", "random"]
    assert sorted(conditions(settings, ["grpo"])) == ["champion", "grpo"]


def test_a_promotion_that_an_earlier_try_has_made_is_one(settings: Settings, crowned: Version) -> None:
    registry = Registry.open(settings)
    second = registry.newest("grpo")
    assert second is not None
    registry.crown(second, "an earlier try", "better")
    again = promote(settings, "grpo", by="airflow").record()
    assert again["outcome"] == "kept" and in_production(again)
    assert not in_production({**again, "champion": dataclasses.asdict(crowned)})
    assert not in_production({**again, "champion": None})
    assert in_production({**again, "outcome": "promoted", "champion": None})


def test_before_there_is_a_champion_random_is_what_has_to_be_beaten(settings: Settings) -> None:
    assert planned(settings).baseline == "random"
    assert sorted(conditions(settings)) == ["expert", "random"]
