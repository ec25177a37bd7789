"""A warehouse of graded rollouts made by rule: policies of any quality over dialogues of one kind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from delta_rows import write

AT = dt.datetime(2026, 11, 21, 9, 30, tzinfo=dt.UTC)
JUDGE = {"extractor": "x-1", "grader": "g-1"}


def session(number: int) -> str:
    return f"s-{number} 卡"


def logs(warehouse: Path, dialogues: int) -> None:
    """Dialogues of two CONTINUE turns and a STOP, all of the eval split."""
    talk = [
        {"role": role, "content": text, "ts": None, "seq": None}
        for role, text in (
            ("user", "<b>Hi</b>"),
            ("assistant", "Since when?"),
            ("user", "Noon."),
            ("assistant", "Bye."),
        )
    ]
    keys = [{"session_id": session(n), "dialogue_version": "v1", "split": "eval"} for n in range(dialogues)]
    write(warehouse, "dialogues", [{**key, "source": "a", "domain": "bank", "messages": talk} for key in keys])
    places = [{**key, "turn": turn, "is_final": turn == 3, "context_end": turn} for key in keys for turn in (1, 2, 3)]
    write(warehouse, "turns", [{**place, "utterance_messages": 1} for place in places])
    write(
        warehouse,
        "objectives",
        [
            {
                **place,
                "extractor": "x-1",
                "information": [] if place["is_final"] else ["since: noon"],
                "decision": "STOP" if place["is_final"] else "CONTINUE",
                "status": "ok",
            }
            for place in ({k: v for k, v in p.items() if k != "split"} for p in places)
        ],
    )


def rollouts(
    warehouse: Path,
    condition: str,
    version: str,
    dialogues: int,
    *,
    good: float,
    stops: float = 0.8,
    text: str = "Since when?",
) -> list[dict[str, Any]]:
    """Graded rollouts of a policy that earns R_a 1 in a share `good` and stops in a share `stops`; its grades."""
    made = list(_graded(condition, version, dialogues, good, stops, text))
    names = ("r_a", "r_s", "omega", "extractor", "grader", "target")
    write(warehouse, "rollouts", [{k: v for k, v in row.items() if k not in names} for row in made])
    write(
        warehouse, "grades", [{k: v for k, v in row.items() if k not in ("text", "decision", "target")} for row in made]
    )
    return made


def evaluated(warehouse: Path, conditions: list[str], created: dt.datetime = AT) -> None:
    write(
        warehouse,
        "metrics",
        [
            {"evaluation_id": "e-1", "condition": name, "metric": "TR", "value": 3.0, "n": 9, "n_dialogues": 3,
             "ci_low": 2.5, "ci_high": 3.5, "beta": 2.0, "created_at": created, **JUDGE}
            for name in conditions
        ],
    )  # fmt: skip


def _graded(
    condition: str, version: str, dialogues: int, good: float, stops: float, said: str
) -> Iterator[dict[str, Any]]:
    for number in range(dialogues):
        for turn in (1, 2, 3):
            place = ((number * 3 + turn) * 37 % 101) / 101  # spread evenly, the same for all policies
            stop = turn == 3 and place < stops
            hit = turn < 3 and place < good
            yield {
                "condition": condition, "model_version": version, "session_id": session(number), "turn": turn,
                "dialogue_version": "v1", "sample": 0, "text": "<stop />" if stop else said,
                "decision": "STOP" if stop else "CONTINUE", "status": "ok", **JUDGE,
                "target": "STOP" if turn == 3 else "CONTINUE",
                "r_a": 1.0 if hit or stop else 0.5 if turn < 3 else 0.0,
                "r_s": float(stop or turn < 3), "omega": float(stop or turn < 3),
            }  # fmt: skip
