"""What `l2a estimate` says beforehand is what the step then pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from helpers import as_line, dialogue
from llm_asking import quick
from registered import register

from l2a.cli import main
from l2a.llm.chaos.plan import ChaosSettings
from l2a.llm.chaos.running import RunningChaos, chaos_endpoint
from l2a.llm.estimate import Needed
from l2a.mapping import load
from l2a.serving.tiny import make_tiny_model
from l2a.settings import EvaluateSettings, IngestSettings, JudgeSettings, ObjectiveSettings, Settings
from l2a.settings.llm import LLMSettings
from l2a.tables.warehouse import Warehouse
from spark_jobs import estimate as estimating
from spark_jobs import extract as extracting
from spark_jobs.answering import asked_of
from spark_jobs.counts import Counts
from spark_jobs.estimate import estimate
from spark_jobs.grade import grade
from spark_jobs.ingest import ingest
from spark_jobs.rollout import rollout
from spark_jobs.slice import slice_dialogues

DIALOGUES = 6
Take = Callable[[Warehouse, str, int], None]


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """Takes dialogues of two questions into a warehouse and slices them."""

    def take(warehouse: Warehouse, name: str, count: int) -> None:
        log = tmp_path / f"{name}.jsonl"
        said = ("Since when?", "Since noon 卡.", "Which card?", "The blue one.", "Bye.")
        log.write_bytes(b"".join(as_line(dialogue(f"{name}-{n}", f"{name} {n}", *said)) + b"\n" for n in range(count)))
        ingest(warehouse, [str(log)], load(None), IngestSettings(), given_split="eval")
        slice_dialogues(warehouse)

    return take


@pytest.fixture
def chaos() -> Iterator[RunningChaos]:
    with chaos_endpoint() as running:
        yield running


def extract(warehouse: Warehouse, judge: JudgeSettings, llm: LLMSettings) -> Counts | None:
    """The step without its search for generic items, which asks nobody."""
    return extracting.extract(warehouse, judge, llm, ObjectiveSettings(drop_generic=False))


def settings(warehouse: Warehouse, llm: LLMSettings, **options: Any) -> Settings:
    given = {"warehouse": warehouse.root, "judge": {"extractor": "llm", "grader": "llm"}, **options}
    return Settings.model_validate({"options": given}).model_copy(update={"llm": llm})


def said(warehouse: Warehouse, whole: Settings, step: str, given: dict[str, Any] | None = None) -> Needed:
    options: dict[str, Any] = {"condition": None, "split": "eval", "greedy": False, "given": given or {}}
    if step == "rollout":
        options["condition"] = "base"
    found = estimate(warehouse, whole, step, **options)
    assert found is not None
    return found


def test_each_step_pays_the_calls_that_were_estimated(warehouse: Warehouse, take: Take, chaos: RunningChaos) -> None:
    take(warehouse, "a", DIALOGUES)
    given = {"endpoints": (chaos.url,), "model": "chaos", "model_version": "1"}
    llm = quick(chaos.url)
    whole = settings(warehouse, llm)
    policy = asked_of("base", llm, given)
    steps: dict[str, Callable[[], Any]] = {
        "extract": lambda: extract(warehouse, whole.judge, llm),
        "rollout": lambda: rollout(warehouse, "base", EvaluateSettings(), policy),
        "grade": lambda: grade(warehouse, whole.judge, llm),
    }
    for step, run in steps.items():
        before = said(warehouse, whole, step, given)
        counts = run()
        assert before.calls == counts.calls_paid > 0, step
        assert before.rows == counts.calls_paid + counts.calls_saved, step
        after = said(warehouse, whole, step, given)
        assert (after.rows, after.calls, after.prompt_tokens) == (0, 0, 0), step


def test_what_is_new_and_what_would_be_asked_again_is_counted(
    warehouse: Warehouse, take: Take, chaos: RunningChaos, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(warehouse, "a", DIALOGUES)
    whole = settings(warehouse, quick(chaos.url))
    extract(warehouse, whole.judge, whole.llm)
    take(warehouse, "new", 1)
    for sample in (1, 100):
        monkeypatch.setattr(estimating, "SAMPLE", sample)
        found = said(warehouse, whole, "extract")
        assert (found.rows, found.calls) == (1, 1)
    longer = settings(warehouse, whole.llm, judge={"extractor": "llm", "grader": "llm", "extraction_max_tokens": 999})
    found = said(warehouse, longer, "extract")
    counts = extract(warehouse, longer.judge, whole.llm)
    assert counts is not None and found.rows == found.calls == counts.calls_paid == DIALOGUES + 1


def test_a_policy_that_asks_no_endpoint_is_told_to_cost_no_call(
    warehouse: Warehouse, take: Take, tmp_path: Path
) -> None:
    take(warehouse, "a", 1)
    register(Path(warehouse.root), "sft", make_tiny_model(tmp_path / "tiny"))
    judge = "[llm]\nendpoints = ['http://127.0.0.1:9/v1']\nmodel = 'judge'\nmodel_version = '3'\n"
    (tmp_path / "l2a.toml").write_text(judge)
    words = ["estimate", "rollout", "--warehouse", warehouse.root, "--config", str(tmp_path / "l2a.toml")]
    for condition in ("sft", "expert"):
        done = CliRunner().invoke(main, [*words, "--condition", condition])
        assert done.exit_code == 0, done.output
        assert f"rollout {condition}: " in done.stdout and "no call" in done.stdout
    assert "--condition" in CliRunner().invoke(main, words).output
    assert "none of the built-in" in CliRunner().invoke(main, [*words, "--condition", "dpo"]).output


@pytest.mark.slow
def test_a_registered_policys_prompts_are_counted_as_they_are_cut(warehouse: Warehouse, tmp_path: Path) -> None:
    log = tmp_path / "long.jsonl"
    log.write_bytes(as_line(dialogue("long", "word " * 2000, "Which one?", "The blue one.")) + b"\n")
    ingest(warehouse, [str(log)], load(None), IngestSettings(), given_split="eval")
    slice_dialogues(warehouse)
    version = register(Path(warehouse.root), "base", make_tiny_model(tmp_path / "tiny"), max_length="400")
    with chaos_endpoint(ChaosSettings(model="base", model_version=version)) as chaos:
        judge = quick("http://127.0.0.1:9/v1", model="judge", model_version="3")
        whole = settings(warehouse, judge.model_copy(update={"policy_endpoints": (chaos.url,)}))
        found = said(warehouse, whole, "rollout")
    assert found.calls > 0 and found.prompt_tokens / found.calls < 1500
