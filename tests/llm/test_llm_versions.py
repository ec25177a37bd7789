"""Which weights stand behind a name: said by the setting, or by the endpoint beyond doubt, or refused."""

from __future__ import annotations

import pytest
from llm_asking import quick

from l2a.llm.chaos.plan import ChaosSettings
from l2a.llm.chaos.running import chaos_endpoint
from l2a.llm.errors import ModelVersionRequired, UnknownModel
from l2a.llm.versions import resolve_model_version, version_of

COMMIT = "5ede1c97bbab6ce5cda5812749b4c0bdf79b18dd"


@pytest.mark.parametrize(
    ("card", "version"),
    [
        ({"id": "policy", "model_version": "7"}, "7"),
        ({"id": "policy", "revision": "abc"}, "abc"),
        ({"id": "policy", "root": f"/cache/models--Qwen/snapshots/{COMMIT}"}, COMMIT),
        ({"id": "policy", "root": f"/models/policy@{COMMIT[:16]}"}, COMMIT[:16]),
        ({"id": "policy", "root": "/models/policy"}, None),
        ({"id": "policy", "root": "policy"}, None),
        ({"id": "policy", "root": "Qwen/Qwen2.5-7B-Instruct"}, None),
        ({"id": "policy", "created": 1763800000}, None),
        ({"id": "policy", "model_version": 7, "root": ["x"]}, None),
    ],
)
def test_only_what_names_weights_is_a_version(card: dict[str, object], version: str | None) -> None:
    assert version_of(card) == version


def test_the_setting_wins_and_asks_nobody() -> None:
    assert resolve_model_version(quick("http://127.0.0.1:9", model_version="mine")) == "mine"


def test_the_endpoint_is_asked_and_a_guess_refused() -> None:
    with (
        chaos_endpoint(ChaosSettings(model_version="v5")) as one,
        chaos_endpoint(ChaosSettings(model_version="v6")) as two,
    ):
        assert resolve_model_version(quick(one.url, model_version=None)) == "v5"
        with pytest.raises(ModelVersionRequired, match=r"v5.*v6"):
            resolve_model_version(quick(one.url, two.url, model_version=None))
        with pytest.raises(UnknownModel, match="chaos"):
            resolve_model_version(quick(one.url, model="other", model_version=None))
    silent_settings = ChaosSettings(model_version=None)
    with chaos_endpoint(silent_settings) as silent, pytest.raises(ModelVersionRequired, match="--model-version"):
        resolve_model_version(quick(silent.url, model_version=None))
