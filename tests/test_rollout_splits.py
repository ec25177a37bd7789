"""Rollouts of one condition over several splits live side by side, whatever else is rolled out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from helpers import as_line, dialogue, dicts

from l2a.mapping import load
from l2a.settings import EvaluateSettings, IngestSettings
from l2a.tables.contracts import ROLLOUTS
from l2a.tables.warehouse import Warehouse
from spark_jobs.ingest import ingest
from spark_jobs.rollout import rollout
from spark_jobs.slice import slice_dialogues

TALK = ("My card is gone.", "Since when?", "Since noon.", "Which card?", "The blue one.", "Thank you.")


def test_a_split_keeps_its_rollouts_when_another_one_is_rolled_out(warehouse: Warehouse, tmp_path: Path) -> None:
    for name, split in (("e-1", "eval"), ("t-1", "train")):
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(as_line(dialogue(name, *TALK)) + b"\n")
        ingest(warehouse, [str(path)], load(None), IngestSettings(split_shares=(1, 0, 0)), given_split=split)
    slice_dialogues(warehouse)
    for split in ("eval", "train", "dev"):
        rollout(warehouse, "expert", EvaluateSettings(), split=split)
    found = Counter(row["session_id"] for row in dicts(warehouse, ROLLOUTS))
    assert found == {"e-1": 3, "t-1": 3}, "dev has no turn, and takes none from the others"
