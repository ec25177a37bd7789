"""The embedded judge as its users see it: names, artifacts, facts and grades on small literal dialogues."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from judge_logs import TRAIN

from l2a.dialogue.types import Message
from l2a.errors import UsageError
from l2a.judge.embedded import EmbeddedJudge, fit, fit_key, load
from l2a.judge.protocols import Dialogue, Question


def _talk(*said: str) -> Dialogue:
    """A dialogue that the user opens; the two speak in turn."""
    return Dialogue([Message("user" if i % 2 == 0 else "assistant", text) for i, text in enumerate(said)])


def test_the_order_of_the_dialogues_changes_nothing(judge: EmbeddedJudge) -> None:
    assert fit(TRAIN[::-1]).name == judge.name
    assert fit_key(TRAIN[::-1]) == judge.key == fit_key(TRAIN)
    assert fit_key(TRAIN[1:]) != judge.key


def test_another_process_gives_the_same_judge_the_same_name(judge: EmbeddedJudge) -> None:
    code = "from judge_logs import TRAIN; from l2a.judge.embedded import fit; print(fit(TRAIN).name)"
    here = Path(__file__).resolve().parent
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent.parent)])}
    done = subprocess.run([sys.executable, "-c", code], env=paths, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == judge.name


def test_a_saved_judge_answers_as_the_fitted_one(judge: EmbeddedJudge, tmp_path: Path) -> None:
    judge.save(tmp_path)
    again = load(tmp_path)
    assert again.name == judge.name
    assert again.name.startswith("embedded-")
    assert len(again.name) == 21
    assert again.extractor.extract(TRAIN[:8]) == judge.extractor.extract(TRAIN[:8])
    asked = [Question(text, ["name: Tom Hill"]) for text in ("What's your name?", "Where do you go?")]
    assert again.grader.grade(asked) == judge.grader.grade(asked)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".npz"}


def test_a_damaged_or_missing_judge_is_said_to_be_so(judge: EmbeddedJudge, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fit-judge"):
        load(tmp_path / "nowhere")
    judge.save(tmp_path)
    told = json.loads((tmp_path / "judge.json").read_text("utf-8"))
    told["attributes"][0] = "something else"
    (tmp_path / "judge.json").write_text(json.dumps(told), "utf-8")
    with pytest.raises(UsageError, match="damaged"):
        load(tmp_path)


def test_nothing_to_learn_from_is_an_error_and_one_dialogue_is_enough() -> None:
    with pytest.raises(UsageError, match="no train dialogue"):
        fit([])
    assert fit(TRAIN[:1]).extractor.extract(TRAIN[:1])


def test_every_fact_stands_word_for_word_in_a_user_message(judge: EmbeddedJudge) -> None:
    for dialogue, facts in zip(TRAIN, judge.extractor.extract(TRAIN), strict=True):
        assert facts == sorted(facts, key=lambda fact: fact.message_index)
        for fact in facts:
            message = dialogue.messages[fact.message_index]
            assert message.role == "user"
            assert fact.value in message.content
            assert fact.value.strip()
            assert fact.attribute


def test_replies_supply_their_values(judge: EmbeddedJudge) -> None:
    talk = _talk(
        "Hello, a room please.", "Could I have your full name?", "My name is Rosa Blum.", "How many guests?", "4"
    )
    found = {(fact.message_index, fact.value) for fact in judge.extractor.extract([talk])[0]}
    assert (2, "Rosa Blum") in found
    assert (4, "4") in found


@pytest.mark.parametrize("role", ["assistant", "tool"])
def test_a_question_waits_for_its_reply_through_all_that_the_expert_says(judge: EmbeddedJudge, role: str) -> None:
    asked = [Message("user", "Hello"), Message("assistant", "Could I have your full name?")]
    talk = Dialogue([*asked, Message(role, "Take your time."), Message("user", "Rosa Blum")])
    facts = judge.extractor.extract([talk])[0]
    assert [(fact.message_index, fact.value) for fact in facts if fact.attribute != "detail"] == [(3, "Rosa Blum")]
    again = Question("Could I have your full name?", ["guests number: 4"], talk.messages)
    assert judge.grader.grade([again])[0].r_a == 0.0, "it was answered"


@pytest.mark.parametrize(
    ("said", "value"),
    [
        (("我有一只小狗", "您叫什么名字？", "王小明"), "王小明"),
        (("你好", "病了几天了？", "三天了"), "三天了"),
        (("नमस्ते", "आप कहाँ रहते हैं?", "दिल्ली"), "दिल्ली"),
        (("Hola", "¿Cómo se llama?", "Nu\u0301n\u0303ez"), "Nu\u0301n\u0303ez"),
    ],
)
def test_values_are_whole_in_scripts_without_spaces_and_with_marks(
    judge: EmbeddedJudge, said: tuple[str, ...], value: str
) -> None:
    assert value in {fact.value for fact in judge.extractor.extract([_talk(*said)])[0]}


def test_what_was_said_in_a_script_without_spaces_is_not_supplied_again(judge: EmbeddedJudge) -> None:
    facts = judge.extractor.extract([_talk("你好", "您叫什么名字？", "王小明", "您贵姓？", "王小明")])[0]
    assert [fact.message_index for fact in facts if "小明" in fact.value] == [2]


@pytest.mark.parametrize(
    "reply",
    ["I don't know.", "I forgot it", "no idea, sorry", "", "?!", "ok thanks", "It does not matter", "Why do you ask?"],
)
def test_a_refusal_supplies_nothing(judge: EmbeddedJudge, reply: str) -> None:
    facts = judge.extractor.extract([_talk("Hello", "What is your name, please?", reply)])[0]
    assert [fact for fact in facts if fact.message_index == 2] == []


def test_what_was_said_before_is_not_supplied_again(judge: EmbeddedJudge) -> None:
    talk = _talk("Hello", "What city do you want to stay in?", "Oslo", "Which city was that?", "Oslo")
    assert [fact.message_index for fact in judge.extractor.extract([talk])[0]] == [2]


def test_yes_answers_a_yes_or_no_question(judge: EmbeddedJudge) -> None:
    facts = judge.extractor.extract([_talk("Hello", "Do you need parking?", "Yes please.")])[0]
    assert [(fact.message_index, fact.value) for fact in facts] == [(2, "Yes")]


def test_any_script_is_read(judge: EmbeddedJudge) -> None:
    talks = [
        _talk("你好", "您叫什么名字？", "王小明"),
        _talk("مرحبا", "ما اسمك؟", "أحمد علي"),
        _talk("👋", "What is your name, please?", "😀😀"),
    ]
    before = judge.encoder.coverage.hashed
    facts = judge.extractor.extract(talks)
    assert any(fact.value in "王小明" for fact in facts[0])
    assert any(fact.value in "أحمد علي" for fact in facts[1])
    assert judge.encoder.coverage.hashed > before
    assert judge.encoder.coverage.hashed and judge.encoder.coverage.covered
    same, other = judge.grader.grade(
        [Question("您叫什么名字？", ["您叫什么名字: 王小明"]), Question("天气很好。", ["您叫什么名字: 王小明"])]
    )
    assert same.error is None
    assert same.asks
    assert other.r_a == 0.0


def test_a_megabyte_does_not_matter(judge: EmbeddedJudge) -> None:
    huge = "Oslo and more. " * 70_000
    facts = judge.extractor.extract([_talk(huge, "Which city are you going to?", huge, huge, "x" * 1_000_000)])[0]
    assert all(len(fact.value) < 2001 for fact in facts)
    assert judge.grader.grade([Question(huge, ["city: Oslo"], [Message("user", huge)])])[0].error is None


def test_a_batch_is_graded_as_its_parts(judge: EmbeddedJudge) -> None:
    asked = [
        Question(text, ["name: Tom", "guests: 3"]) for text in ("What is your name?", "Hello!", "How many guests?")
    ]
    assert judge.grader.grade(asked) == [judge.grader.grade([one])[0] for one in asked]
    assert judge.grader.grade([]) == []
    assert judge.extractor.extract([]) == []


def test_what_was_said_later_tells_what_an_item_was_asked_by(judge: EmbeddedJudge) -> None:
    later = [
        Message("assistant", "On which day do you arrive?"),
        Message("user", "May 17"),
        Message("assistant", "Could I have your full name?"),
        Message("user", "My name is Rosa Blum."),
    ]
    items = ["detail: May 17", "detail: Rosa Blum"]
    texts = ("When will you arrive?", "What is your name, please?", "Do you like jazz?")
    told = judge.grader.grade([Question(text, items, future=later) for text in texts])
    assert [judgement.r_a for judgement in told] == [1.0, 1.0, 0.0]
