"""What is learnt is what is served: the same tokens, a loss on what the expert said and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from training_tables import EXTRACTOR, make_warehouse

from l2a.dialogue.types import STOP_MARK
from l2a.llm.prompts.tokens import policy_prompt
from training import models, tiny
from training.data import Turn, by_dialogue, newest_versions, read
from training.recipes import Tiny
from training.rendering import IGNORED, Renderer, sequences


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Turn], Any]:
    root = make_warehouse(tmp_path_factory.mktemp("warehouse"))
    turns = read(str(root), newest_versions(str(root)), EXTRACTOR, "train")
    folder = root / "tiny"
    tiny.make(folder, Tiny(vocabulary=400, hidden=16, layers=1, heads=2, intermediate=16), turns, 256, seed=0)
    return turns, models.tokenizer_of(folder)


def test_training_prompts_are_serving_prompts_token_by_token(learnt: tuple[list[Turn], Any]) -> None:
    turns, tokenizer = learnt
    for limit in (200, 24):
        renderer = Renderer(tokenizer, limit)
        for turn in turns:
            d = turn.dialogue
            served = policy_prompt(tokenizer, turn.context, goal=d.goal, domain=d.domain, limit=limit)
            assert renderer.prompt(renderer.chat(turn)) == served.tokens


def test_the_loss_is_on_what_the_expert_said(learnt: tuple[list[Turn], Any]) -> None:
    turns, tokenizer = learnt
    own = by_dialogue(turns)[0]
    (found,) = sequences(Renderer(tokenizer, 200), [own], 256)

    taught = tokenizer.decode([label for label in found.labels if label != IGNORED])
    end = tokenizer.eos_token
    assert taught == "".join(turn.expert + end for turn in own)
    assert taught.endswith(STOP_MARK + end)
    assert all(label in (IGNORED, token) for token, label in zip(found.input_ids, found.labels, strict=True))


def test_a_dialogue_that_does_not_fit_becomes_several_sequences_and_is_counted(learnt: tuple[list[Turn], Any]) -> None:
    turns, tokenizer = learnt
    own = by_dialogue(turns)[0]
    renderer = Renderer(tokenizer, 30)
    found = sequences(renderer, [own], 60)
    assert len(found) > 1 and 0 < renderer.shortened <= renderer.prompts == 3
    taught = "".join(tokenizer.decode([x for x in one.labels if x != IGNORED]) for one in found)
    assert taught == "".join(turn.expert + tokenizer.eos_token for turn in own)


def test_the_stop_mark_is_one_token_that_decoding_keeps(learnt: tuple[list[Turn], Any]) -> None:
    _, tokenizer = learnt
    ids = tokenizer(STOP_MARK, add_special_tokens=False)["input_ids"]
    assert len(ids) == 1
    assert tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True) == STOP_MARK


def test_without_the_stop_rule_the_prompt_says_nothing_of_stopping(learnt: tuple[list[Turn], Any]) -> None:
    turns, tokenizer = learnt
    with_rule, without = Renderer(tokenizer, 200), Renderer(tokenizer, 200, stop_rule=False)
    assert STOP_MARK in with_rule.chat(turns[0])[0]["content"]
    assert STOP_MARK not in without.chat(turns[0])[0]["content"]
    assert with_rule.prompt(with_rule.chat(turns[0])) != without.prompt(without.chat(turns[0]))
