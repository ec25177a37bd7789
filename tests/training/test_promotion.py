"""What is promoted: better on what both answered, worse nowhere, by the very models; and what is told about it."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from graded import evaluated, logs, rollouts
from registered import register, settings_of

from l2a.cli import main
from l2a.errors import EnvironmentProblem, UsageError
from l2a.metrics.paired import Difference
from l2a.promotion.command import promote
from l2a.promotion.evidence import Evidence, Side
from l2a.promotion.guard import scores_in, task_scores
from l2a.promotion.rule import Capability, decide
from l2a.registry import Registry

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DIALOGUES = 60


def difference(metric: str, value: float, low: float, high: float, dialogues: int = 100) -> Difference:
    called = "higher" if low > 0 else "lower" if high < 0 else "no difference called"
    return Difference(metric, value, low, high, dialogues, called, 1.0 + value, 1.0)  # type: ignore[arg-type]


def four(**changed: Difference) -> list[Difference]:
    """TR higher, everything else as it was."""
    same = {name: difference(name, 0.0, -0.1, 0.1) for name in ("WS", "WA-GH", "FC")}
    given = {"TR": difference("TR", 0.2, 0.1, 0.3), **same, **{k.replace("_", "-"): v for k, v in changed.items()}}
    return list(given.values())


@pytest.mark.parametrize(
    ("differences", "promoted", "said"),
    [
        (four(), True, "TR 1.000 -> 1.200, difference +0.200 [+0.100, +0.300] over 100 dialogues: higher"),
        (four(TR=difference("TR", 0.2, -0.01, 0.4)), False, "TR 1.000 -> 1.200"),
        (four(TR=difference("TR", 0.2, 0.0, 0.4)), False, "its interval is not above 0"),
        (four(TR=difference("TR", 0.9, 0.5, 1.3, 19)), False, "under 20 dialogues"),
        (four(WS=difference("WS", -0.1, -0.2, 0.0)), True, "WS"),
        (four(WS=difference("WS", -0.1, -0.2, -0.01)), False, "[-0.200, -0.010] over 100 dialogues: lower"),
        (four(WA_GH=difference("WA-GH", -0.1, -0.2, -0.01)), False, "WA-GH 1.000 -> 0.900"),
        (four(FC=difference("FC", -0.1, -0.2, -0.01)), False, "FC 1.000 -> 0.900"),
        (four()[:2], False, "WA-GH cannot be compared"),
        ([], False, "TR cannot be compared: the two have no graded turn"),
    ],
)
def test_a_policy_is_promoted_for_a_higher_reward_and_for_nothing_lower(
    differences: list[Difference], promoted: bool, said: str
) -> None:
    decision = decide(differences, Capability(), None)
    assert decision.promote == promoted
    assert any(said in reason for reason in decision.reasons), decision.reasons
    assert len(decision.reasons) == 4, "every part of the rule says what it found"


@pytest.mark.parametrize(
    ("mine", "theirs", "promoted"),
    [(11.0, 10.0, True), (11.1, 10.0, False), (5.0, 10.0, True), (None, 10.0, False), (10.0, None, False)],
)
def test_general_capability_may_not_fall(mine: float | None, theirs: float | None, promoted: bool) -> None:
    assert decide(four(), Capability(mine), Capability(theirs)).promote == promoted


def test_tasks_may_not_fall_beyond_their_interval() -> None:
    champion = Capability(10.0, {"arc acc,none": (0.60, 0.01)})
    assert decide(four(), Capability(10.0, {"arc acc,none": (0.58, 0.01)}), champion).promote
    assert not decide(four(), Capability(10.0, {"arc acc,none": (0.57, 0.01)}), champion).promote
    assert not decide(four(), Capability(10.0), champion).promote, "one that was not measured speaks against it"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models") / "model"
    made.mkdir()
    (made / "config.json").write_text("{}")
    return made


def weights(folder: Path, said: str) -> Path:
    (folder / "model.safetensors").write_text(said)
    return folder


@pytest.fixture
def warehouse(tmp_path: Path, folder: Path) -> Path:
    """Three trained conditions; `sft` is better than random, `grpo` better than `sft`, `mute` never stops."""
    root = tmp_path / "o'clock 仓库"
    logs(root, DIALOGUES)
    rollouts(root, "random", "train-1", DIALOGUES, good=0.05, stops=0.3)
    for name, good, stops, perplexity in (("sft", 0.4, 0.8, 10.0), ("grpo", 0.8, 0.8, 10.5), ("mute", 0.9, 0.0, 10.0)):
        version = register(root, name, weights(folder, name), metrics={"heldout_perplexity": perplexity})
        rollouts(root, name, version, DIALOGUES, good=good, stops=stops)
    evaluated(root, ["random", "sft", "grpo", "mute"])
    return root


def l2a(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_the_best_becomes_champion_step_by_step(warehouse: Path) -> None:
    first = l2a("promote", "sft", "--warehouse", warehouse, "--by", "Ada")
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith("promoted sft version 1") and "no champion yet" in first.stdout
    kept = l2a("promote", "mute", "--warehouse", warehouse)
    assert kept.exit_code == 0 and kept.stdout.startswith("kept sft version 1"), kept.output
    assert "WS 0.800 -> 0.000" in kept.stdout
    again = l2a("promote", "sft", "--warehouse", warehouse, "--format", "json")
    assert json.loads(again.stdout)["reasons"] == ["it is champion already"]
    better = json.loads(l2a("promote", "grpo", "--warehouse", warehouse, "--format", "json").stdout)
    assert (better["outcome"], better["condition"], better["champion"]["condition"]) == ("promoted", "grpo", "sft")
    assert better["forced"] is False and len(better["differences"]) == 7 and len(better["reasons"]) == 5
    worse = promote(settings_of(warehouse), "sft", by="Ada")
    assert not worse.promoted and "its interval is not above 0" in " ".join(worse.decision.reasons)
    champion = Registry.open(settings_of(warehouse)).champion()
    assert champion is not None and champion.condition == "grpo"


def test_force_goes_against_the_rule_and_is_recorded(warehouse: Path) -> None:
    from mlflow.tracking import MlflowClient

    promote(settings_of(warehouse), "grpo", by="Ada")
    unexplained = l2a("promote", "sft", "--warehouse", warehouse, "--force")
    assert unexplained.exit_code == 2 and "--why" in unexplained.output
    done = l2a("promote", "sft", "--warehouse", warehouse, "--force", "--why", "grpo 出错了", "--by", "Grace")
    assert done.exit_code == 0 and "against the rule (--force)" in done.stdout
    uri = Registry.open(settings_of(warehouse)).uri
    tags = MlflowClient(uri, uri).get_model_version_by_alias("sft", "champion").tags
    assert (tags["l2a.crowned_by"], tags["l2a.crowned_why"], tags["l2a.crowned_forced"]) == (
        "Grace", "grpo 出错了", "true",
    )  # fmt: skip


def test_a_retrained_model_is_not_promoted_by_its_old_answers(warehouse: Path, folder: Path) -> None:
    settings = settings_of(warehouse)
    promote(settings, "sft", by="Ada")
    retrained = register(warehouse, "sft", weights(folder, "sft 2"), metrics={"heldout_perplexity": 10.0})
    with pytest.raises(UsageError, match="l2a rollout --condition sft"):
        promote(settings, "sft", by="Ada")
    # Its rollouts took the place of the champion's, which has answered under the name `champion` since.
    champion = Registry.open(settings).champion()
    assert champion is not None
    rollouts(warehouse, "sft", retrained, DIALOGUES, good=0.8)
    rollouts(warehouse, "champion", champion.model_version, DIALOGUES, good=0.4)
    done = promote(settings, "sft", by="Ada")
    assert done.promoted and done.version.number == 2 and done.champion == champion


def test_what_is_missing_is_told(warehouse: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are: grpo, mute, sft"):
        promote(settings_of(warehouse), "dpo", by="Ada")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UsageError, match="no model is registered"):
        promote(settings_of(empty), "sft", by="Ada")
    with pytest.raises(UsageError, match="nothing is evaluated yet"):
        Evidence.newest(settings_of(empty))


def test_differences_are_those_of_the_evaluation_to_the_last_digit(warehouse: Path, spark: SparkSession) -> None:
    from l2a.metrics.compare import compare
    from l2a.metrics.evaluate import sums

    evidence = Evidence.newest(settings_of(warehouse))
    mine = evidence.differences(Side(("grpo",)), Side(("random",)), 200)
    grades = [
        (row["condition"], row["session_id"], row["turn"], row["target"], row["decision"], row["r_a"], row["omega"])
        for name, good, stops in (("grpo", 0.8, 0.8), ("random", 0.05, 0.3))
        for row in rollouts(warehouse.parent / "again", name, "v", DIALOGUES, good=good, stops=stops)
    ]
    frame = spark.createDataFrame(
        grades,
        "condition string, session_id string, turn int, target string, decision string, r_a double, omega double",
    )
    parts = sums(frame, ["condition", "session_id", "turn"])
    theirs = {row["metric"]: row for row in compare(parts, baseline="random", replicates=200).collect()}
    assert {each.metric for each in mine} == set(theirs)
    for each in mine:
        row = theirs[each.metric]
        assert (each.difference, each.n_dialogues, each.called) == (
            row["difference"],
            row["n_dialogues"],
            row["called"],
        )
        assert (each.ci_low, each.ci_high) == pytest.approx((row["ci_low"], row["ci_high"]), abs=1e-12)


def harness(answer: Any) -> types.ModuleType:
    module = types.ModuleType("lm_eval")
    module.simple_evaluate = answer  # type: ignore[attr-defined]
    return module


def test_tasks_of_the_harness_are_asked_of_the_model_that_lies_there(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = Registry.open(settings_of(warehouse)).newest("sft")
    assert version is not None
    asked: list[dict[str, Any]] = []

    def answer(**given: Any) -> dict[str, Any]:
        asked.append(given)
        values = {"alias": "arc", "acc,none": 0.5, "acc_stderr,none": 0.1, "ppl,none": 9.0, "ppl_stderr,none": 0.1}
        return {"results": {"arc": values}, "higher_is_better": {"arc": {"acc": True, "ppl": False}}}

    monkeypatch.setitem(sys.modules, "lm_eval", harness(answer))
    assert task_scores(Path("/models/sft"), version, ["arc"]) == {"arc acc,none": (0.5, 0.1)}
    assert asked[0]["model_args"] == "pretrained=/models/sft" and asked[0]["tasks"] == ["arc"]
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(EnvironmentProblem, match="pip install lm-eval"):
        task_scores(Path("/models/sft"), version, ["arc"])
    assert scores_in({"results": {"arc": {"acc,none": "N/A", "acc_stderr,none": "N/A"}}}) == {}
