"""What is known about a made-up dialogue agrees with its text, and the log keeps it to itself."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from l2a.synth import LogSpec, entries, lines
from l2a.synth.conversation import EXPERTS, SLIPS
from l2a.synth.dialogue import MadeDialogue
from l2a.synth.domains import load_domains
from l2a.synth.draws import Draws
from l2a.synth.patterns import compile_pattern

SPEC = LogSpec(2_000, seed=5, correction_share=0.3, late_share=0.1)
VERSIONS = [entry.dialogue for entry in entries(SPEC) if entry.dialogue]


def questions_of(dialogue: MadeDialogue) -> dict[str, tuple[str, ...]]:
    return {item.name: tuple(item.questions) for case in dialogue.domain.cases for item in case.ask}


def test_every_fact_stands_word_for_word_in_its_user_message() -> None:
    for dialogue in VERSIONS:
        for fact in dialogue.facts:
            assert dialogue.roles[fact.message_index] == "user"
            assert fact.value in dialogue.texts[fact.message_index]


def test_facts_come_in_order_and_none_comes_twice() -> None:
    for dialogue in VERSIONS:
        indexes = [fact.message_index for fact in dialogue.facts]
        assert indexes == sorted(indexes)
        assert len({fact.attribute for fact in dialogue.facts}) == len(dialogue.facts)


def test_questions_in_vain_are_the_experts_and_bring_nothing() -> None:
    seen = 0
    for dialogue in VERSIONS:
        supplied = {fact.message_index for fact in dialogue.facts}
        for index in dialogue.in_vain:
            seen += 1
            assert dialogue.roles[index] == "assistant"
            reply = next(i for i in range(index + 1, len(dialogue.roles)) if dialogue.roles[i] == "user")
            assert reply not in supplied
    assert seen > len(VERSIONS) / 4


def test_volunteered_facts_were_not_asked_for_before() -> None:
    seen = 0
    for dialogue in VERSIONS:
        for place in dialogue.volunteered:
            seen += 1
            fact = dialogue.facts[place]
            before = " ".join(dialogue.texts[: fact.message_index])
            assert not any(question in before for question in questions_of(dialogue)[fact.attribute])
    assert seen > len(VERSIONS) / 4


def test_the_log_holds_none_of_the_truth() -> None:
    for line in lines(LogSpec(200)):
        document = json.loads(line)
        assert set(document) == {"session_id", "goal", "domain", "outcome", "expert", "updated_at", "messages"}
        assert all(set(message) == {"role", "content", "ts"} for message in document["messages"])


def test_the_truth_row_can_be_written_as_json_and_names_the_domain_and_case() -> None:
    row = json.loads(json.dumps(VERSIONS[0].truth()))
    assert row["domain"] and row["case"] and row["session_id"] == VERSIONS[0].session_id
    assert [f["value"] for f in row["facts"]] == [fact.value for fact in VERSIONS[0].facts]


def test_good_experts_do_not_ask_for_what_they_were_told() -> None:
    """Experts differ: the share of questions for facts already supplied tells good ones from bad ones."""
    told_again: Counter[bool] = Counter()
    rounds: Counter[bool] = Counter()
    middle = sorted(SLIPS)[EXPERTS // 2]
    for dialogue in VERSIONS:
        good = SLIPS[int(dialogue.expert.removeprefix("e-")) - 1] < middle
        known: set[str] = set()
        facts: dict[int, list[str]] = {}
        for fact in dialogue.facts:
            facts.setdefault(fact.message_index, []).append(fact.attribute)
        for index, text in enumerate(dialogue.texts):
            if dialogue.roles[index] == "assistant":
                rounds[good] += 1
                told_again[good] += any(q in text for a in known for q in questions_of(dialogue)[a])
            known.update(facts.get(index, []))
    assert told_again[True] / rounds[True] < 0.02
    assert told_again[False] / rounds[False] > 3 * told_again[True] / rounds[True]


def test_what_is_asked_depends_on_an_answer() -> None:
    """The other car's plate is only known where there was another car."""
    claims = [d for d in VERSIONS if d.case == "collision" and d.version == 1]
    without = {"just a wall, no other car", "just a lamp post"}
    for dialogue in claims:
        values = {fact.attribute: fact.value for fact in dialogue.facts}
        if "other plate" in values:
            assert values["other party"] not in without
    assert any("other plate" in {f.attribute for f in d.facts} for d in claims)


@pytest.mark.parametrize("domain", load_domains(), ids=lambda domain: domain.name)
def test_a_domain_is_worded_in_several_ways(domain: object) -> None:
    from l2a.synth.domains import Domain

    assert isinstance(domain, Domain)
    assert len(domain.cases) >= 2 and domain.goal and len(domain.closings) >= 2
    asked = {item.name: item for case in domain.cases for item in case.ask}
    assert len(asked) >= 6
    for item in asked.values():
        assert len(set(item.questions)) >= 4
        assert len(set(item.replies)) >= 3
        assert all("{v}" in wording for wording in (*item.replies, *item.volunteered))
        assert len({item.makers[i % len(item.makers)](Draws(i, 0)) for i in range(50)}) >= 3
        if item.gate:
            for case in domain.cases:
                names = [attribute.name for attribute in case.ask]
                if item.name in names:
                    assert names.index(item.gate.attribute) < names.index(item.name)
    questions = [question for item in asked.values() for question in item.questions]
    assert len(set(questions)) == len(questions), "a question asks for one attribute only"


@pytest.mark.parametrize("pattern", ["{nothing}", "{9-3}", "{x} and {x}"])
def test_a_pattern_that_cannot_be_filled_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"\{9-3\}|nothing|different"):
        compile_pattern(pattern, {"x": ["only one"]})


def test_patterns() -> None:
    lists = {"city": ["York", "Leeds"], "place": ["a shop in {city}"]}
    texts = {compile_pattern("{place}, {1-2}{@}{###} 100%", lists)(Draws(i, 0)) for i in range(20)}
    assert len(texts) == 20
    for text in texts:
        assert text.startswith(("a shop in York, ", "a shop in Leeds, ")) and text.endswith(" 100%")
        code = text.removesuffix(" 100%").split(", ")[1]
        assert code[0] in "12" and code[1].isupper() and code[2:].isdigit() and len(code) == 5
