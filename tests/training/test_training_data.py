"""What a training reads: usable train turns, as the tables were at recorded versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from training_tables import EXTRACTOR, dialogue, make_warehouse, objectives, turns, write

from l2a.dialogue.types import STOP_MARK
from l2a.errors import UsageError
from training.data import digest, newest_versions, read, resolve_extractor


def test_only_the_split_that_is_asked_for_is_read(tmp_path: Path) -> None:
    root = str(make_warehouse(tmp_path, train=2, dev=1))
    versions = newest_versions(root)

    found = read(root, versions, EXTRACTOR, "train")

    assert [(t.dialogue.session_id, t.turn) for t in found] == [(f"train-{n}", t) for n in range(2) for t in (1, 2, 3)]
    assert found[0].expert == "Where does it hurt?" and found[2].expert == STOP_MARK
    assert [m.content for m in found[1].context] == ["Hello, I need help.", "Where does it hurt?", "It is 0, 谢谢"]
    assert all(t.dialogue.messages[-1] not in t.context for t in found)


def test_a_training_goes_on_with_the_versions_that_it_started_with(tmp_path: Path) -> None:
    root = make_warehouse(tmp_path, train=2, dev=0)
    versions = newest_versions(str(root))
    before = digest(read(str(root), versions, EXTRACTOR, "train"))
    new = dialogue(99, "train")
    write(root, "dialogues", [new])
    write(root, "turns", turns(new))
    write(root, "objectives", objectives(new))

    assert digest(read(str(root), versions, EXTRACTOR, "train")) == before
    assert digest(read(str(root), newest_versions(str(root)), EXTRACTOR, "train")) != before


def test_turns_that_a_rule_leaves_out_are_not_learnt_from(tmp_path: Path) -> None:
    one = dialogue(0, "train")
    write(tmp_path, "dialogues", [one])
    write(tmp_path, "turns", turns(one))
    rows = objectives(one)
    rows[1] |= {"dropped_reason": "nothing_gained"}
    write(tmp_path, "objectives", rows)

    assert [t.turn for t in read(str(tmp_path), newest_versions(str(tmp_path)), EXTRACTOR, "train")] == [1, 3]


def test_a_warehouse_without_objectives_is_named(tmp_path: Path) -> None:
    write(tmp_path, "dialogues", [dialogue(0, "train")])
    with pytest.raises(UsageError, match="no turns and no objectives"):
        newest_versions(str(tmp_path))


def test_an_extractor_without_objectives_is_refused_with_those_there_are(tmp_path: Path) -> None:
    root = str(make_warehouse(tmp_path, train=1, dev=0))
    versions = newest_versions(root)
    assert resolve_extractor(root, "embedded", versions) == EXTRACTOR
    with pytest.raises(UsageError, match=EXTRACTOR):
        resolve_extractor(root, "llm", versions)
