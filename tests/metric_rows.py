"""A warehouse that is ready to be evaluated: dialogues, turns, objectives, rollouts and grades, made without a judge.

Small and uneven on purpose: domains and experts that are missing, conditions that skip dialogues, failed rollouts and
failed grades, dialogues of one turn and of nine.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import numpy as np

from l2a.dialogue.utterance import parse
from l2a.judge.protocols import Judgement
from l2a.reward import grade
from l2a.settings import EvaluateSettings, JudgeSettings
from l2a.tables.contract import Contract
from l2a.tables.contracts import DIALOGUES, GRADES, OBJECTIVES, ROLLOUTS, TURNS

if TYPE_CHECKING:
    from l2a.tables.warehouse import Warehouse

EXTRACTOR, GRADER = "llm:x", "llm:g"
JUDGE = JudgeSettings(extractor=EXTRACTOR, grader=GRADER)
SETTINGS = EvaluateSettings(replicates=100, max_slice_values=3)
SKILL = {"expert": 0.95, "sft": 0.75, "base": 0.45, "base@greedy": 0.45}
"""condition -> its share of right decisions and right questions."""

_TEXTS = {"STOP": ["<stop />", "Bye. <stop />"], "CONTINUE": ["Since when?", "Age? Sex?", "A? B? C?", "说说看。", ""]}
_AT = dt.datetime(2026, 10, 20, tzinfo=dt.UTC)


def fill(warehouse: Warehouse, dialogues: int = 60, seed: int = 11) -> None:
    """Writes the tables that an evaluation stands on. A fifth of the dialogues is in the dev split."""
    rng = np.random.default_rng(seed)
    made: dict[str, list[dict[str, Any]]] = {c.name: [] for c in (DIALOGUES, TURNS, OBJECTIVES, ROLLOUTS, GRADES)}
    for i in range(dialogues):
        split = "dev" if i % 5 == 4 else "eval"
        made["dialogues"].append(_dialogue(i, split))
        turns = 1 + i % 9
        for turn in range(1, turns + 1):
            _turn(made, rng, i, turn, split, final=turn == turns)
    for contract in (DIALOGUES, TURNS, OBJECTIVES, ROLLOUTS, GRADES):
        write(warehouse, contract, made[contract.name])


def write(warehouse: Warehouse, contract: Contract, rows: list[dict[str, Any]]) -> None:
    from pyspark.sql.types import StructType

    values = [tuple(row.get(name) for name in contract.column_names) for row in rows]
    warehouse.upsert(contract, warehouse.spark.createDataFrame(values, StructType.fromDDL(contract.ddl)))


def _dialogue(i: int, split: str) -> dict[str, Any]:
    return {
        "session_id": f"s-{i}", "dialogue_version": "v1", "source": "a", "ingested_at": _AT, "split": split,
        "updated_at": None if i % 3 == 0 else _AT + dt.timedelta(days=i % 40),
        "landed": None if i % 6 == 0 else dt.date(2026, 12, 1),
        "domain": [None, "bank", "问诊", "bank"][i % 4],
        # Six experts: e-5 has half of the dialogues, the others are equal.
        "expert": None if i % 11 == 10 else f"e-{min(i % 10, 5)}",
        "messages": [("user", "hello", None, 0)],
    }  # fmt: skip


def _turn(
    made: dict[str, list[dict[str, Any]]], rng: np.random.Generator, i: int, turn: int, split: str, *, final: bool
) -> None:
    key = {"session_id": f"s-{i}", "turn": turn, "dialogue_version": "v1"}
    dropped = "nothing_gained" if (i + turn) % 13 == 0 and not final else None
    target = "STOP" if final or dropped else "CONTINUE"
    made["turns"].append({**key, "is_final": final, "context_end": 1, "utterance_messages": 0, "split": split})
    made["objectives"].append(
        {
            **key,
            "extractor": EXTRACTOR,
            "information": ["a: b"] if target == "CONTINUE" else [],
            "decision": target,
            "dropped_reason": dropped,
            "status": "ok",
        }
    )
    for condition, skill in SKILL.items():
        if dropped or (condition == "sft" and i % 7 == 0):  # sft was never asked about some dialogues
            continue
        for sample in range(1 if "greedy" in condition else 2):
            _rollout(made, rng, {**key, "condition": condition, "model_version": "m", "sample": sample}, target, skill)


def _rollout(
    made: dict[str, list[dict[str, Any]]], rng: np.random.Generator, key: dict[str, Any], target: str, skill: float
) -> None:
    right = rng.random() < skill
    decision = target if right else "STOP" if target == "CONTINUE" else "CONTINUE"
    lost = rng.random() < 0.04
    texts = _TEXTS[decision]
    text = texts[int(rng.integers(len(texts)) * (rng.random() < 0.5))]
    utterance = None if lost else parse(text)
    judgement = Judgement(float(rng.choice([0, 0.5, 1], p=[1 - skill, 0, skill])), True)
    if rng.random() < 0.04:
        judgement = Judgement(None, None, "unreachable")
    status = {"status": "failed" if utterance is None else "ok", "error": "timeout" if utterance is None else None}
    said = {} if utterance is None else {"text": text, "action": utterance.action}
    said |= {"decision": None if utterance is None else utterance.decision}
    made["rollouts"].append({**key, **said, **status})
    found = grade("STOP" if target == "STOP" else "CONTINUE", utterance, judgement)
    made["grades"].append(
        {
            **key,
            "extractor": EXTRACTOR,
            "grader": GRADER,
            "r_a": found.r_a,
            "r_s": found.r_s,
            "omega": found.omega,
            "status": found.status,
            "error": found.error,
        }
    )
