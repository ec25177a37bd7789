"""`l2a judge-check` of a judge behind an endpoint: every repeat is asked anew, failures count, and no Spark starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from llm_asking import quick

from l2a.cli import main
from l2a.dialogue.types import Message
from l2a.judge.protocols import Dialogue
from l2a.judge_check import extracting
from l2a.judge_check.attacks import CASES, HONEST
from l2a.judge_check.source import Logged
from l2a.llm.chaos.plan import ChaosSettings, Fault
from l2a.llm.chaos.running import chaos_endpoint
from l2a.settings import JudgeSettings

ANCHORS = [
    {"session_id": f"s-{i}", "context": [{"role": "user", "content": f"My card {i} is gone."}],
     "information": [f"place of card {i}: market"], "text": text, "grade": grade}
    for i in range(4)
    for text, grade in ((f"What is the place of card {i}?", 1), ("Is it raining?", 0), ("Thank you.", 0))
]  # fmt: skip


@pytest.fixture
def anchors(tmp_path: Path) -> str:
    file = tmp_path / "anchors.jsonl"
    file.write_text("\n".join(map(json.dumps, ANCHORS)), "utf-8")
    return str(file)


def check(url: str, anchors: str, folder: Path, *more: str) -> Result:
    """Of a grader alone, in a folder without a warehouse."""
    given = ["--warehouse", str(folder / "none"), "--grader", "llm", "--extractor", "llm", "--endpoint", url]
    given += ["--model", "chaos", "--model-version", "1", "--anchors", anchors, "--format", "json"]
    return CliRunner().invoke(main, ["judge-check", *given, *more])


def test_each_repeat_is_asked_anew_and_the_anchors_are_not_asked_twice(anchors: str, tmp_path: Path) -> None:
    with chaos_endpoint() as chaos:
        done = check(chaos.url, anchors, tmp_path, "--repeats", "3")
        assert done.exit_code == 0, done.output
        served = chaos.server.record.served.total()
    found: dict[str, Any] = {row["what"]: row for row in json.loads(done.stdout)}
    assert found["same R_a in 3 askings"]["value"] == 1.0
    assert found["share of gradings with a grade"]["n"] == 3 * len(ANCHORS)
    assert found["weighted kappa"]["n"] == len(ANCHORS)
    assert found["weighted kappa"]["n_dialogues"] == 4
    assert found["attacks by the user that are paid too much"]["n"] > 100
    # "Thank you." needs no grader only where nothing is said; each anchor is asked once a repeat.
    assert served <= 3 * len(ANCHORS) + 2 * len(CASES) + len(HONEST)
    assert served >= 3 * len(ANCHORS)


def test_a_grader_that_fails_has_no_figures_and_exit_code_1(anchors: str, tmp_path: Path) -> None:
    with chaos_endpoint(ChaosSettings(faults={Fault.REFUSAL: 1.0})) as refusing:
        done = check(refusing.url, anchors, tmp_path, "--repeats", "2")
    assert done.exit_code == 1
    assert "askings failed" in done.stderr
    found = {row["what"]: row for row in json.loads(done.stdout)}
    assert found["share of gradings with a grade"]["value"] == 0.0
    assert "Refused" in found["share of gradings with a grade"]["note"]
    assert found["same R_a in 2 askings"]["value"] is None
    assert found["weighted kappa"]["value"] is None
    assert found["anchors without a grade, left out"]["value"] == len(ANCHORS)


def test_a_missing_anchor_file_is_a_usage_error(tmp_path: Path) -> None:
    done = check("http://127.0.0.1:9/v1", str(tmp_path / "nowhere"), tmp_path)
    assert done.exit_code == 2
    assert "--anchors" in done.stderr


def logged(name: str, *said: str) -> Logged:
    messages = tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(said))
    return Logged(name, Dialogue(messages), tuple(range(1, len(said) - 2, 2)))


TALKS = [
    logged("s-card", "My card is gone.", "When did you see it last?", "Yesterday at noon.", "Which card?", "The blue.",
           "Thank you, it is blocked."),
    logged("s-中文", "我头疼。", "疼了多久？", "三天了 🤕。", "有发烧吗？", "没有 <|im_end|>", "好的。"),
]  # fmt: skip


def test_the_two_forms_of_extraction_are_compared_turn_by_turn() -> None:
    with chaos_endpoint() as chaos:
        judge = extracting.ByLLM(JudgeSettings(extractor="llm"), quick(chaos.url), "1")
        decisions, facts = extracting.check_forms(judge, TALKS)
        assert (decisions.value, decisions.n, decisions.n_dialogues) == (1.0, 4, 2)
        assert facts.value == 1.0, "the endpoint's rules say the same in both forms"
        assert judge.paid == chaos.server.record.served.total() == 2 + 4
        found, turns, failed = extracting.check_repeats(judge, TALKS, 2)
        assert (turns, failed) == (8, 0)
        assert [one.value for one in found] == [1.0, 1.0, 1.0]
        assert judge.paid == 6 + 4, "the second asking is paid for again"
    with chaos_endpoint(ChaosSettings(faults={Fault.REFUSAL: 1.0})) as refusing:
        judge = extracting.ByLLM(JudgeSettings(extractor="llm"), quick(refusing.url), "1")
        found, turns, failed = extracting.check_repeats(judge, TALKS, 2)
        assert (turns, failed) == (8, 8)
        assert judge.errors == ["Refused"] * 4
        assert [one.value for one in found] == [0.0, None, None]
