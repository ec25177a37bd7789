"""A small warehouse written with delta-rs: dialogues, turns and objectives, without Spark."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
from deltalake import write_deltalake

EXTRACTOR = "embedded-0123456789ab"
TOPICS = {
    "parcels": (("tracking number", "What is your tracking number?"), ("address", "Where do you live?")),
    "clinic": (("symptom", "Where does it hurt?"), ("duration", "How long has it hurt?")),
}
CLOSING = "Thank you, that is all I need."


def dialogue(number: int, split: str) -> dict[str, object]:
    """user, question, answer, question, answer, closing; Chinese and markup among the answers."""
    domain = sorted(TOPICS)[number % 2]
    (_, first), (_, second) = TOPICS[domain]
    said = ["Hello, I need help.", first, f"It is {number}, 谢谢", second, f"<b>{number * 7}</b> 🙂", CLOSING]
    roles = ["user", "assistant"] * 3
    return {
        "session_id": f"{split}-{number}",
        "dialogue_version": f"v{number}",
        "domain": domain,
        "goal": "find out what is missing",
        "split": split,
        "messages": [{"role": r, "content": c, "ts": None, "seq": None} for r, c in zip(roles, said, strict=True)],
    }


def turns(one: dict[str, object]) -> list[dict[str, object]]:
    key = {name: one[name] for name in ("session_id", "dialogue_version", "split")}
    places = ((1, False, 1), (2, False, 3), (3, True, 5))
    return [
        {**key, "turn": turn, "is_final": final, "context_end": start, "utterance_messages": 1, "dropped_reason": None}
        for turn, final, start in places
    ]


def objectives(one: dict[str, object]) -> list[dict[str, object]]:
    items = [f"{attribute}: value" for attribute, _ in TOPICS[str(one["domain"])]]
    key = {name: one[name] for name in ("session_id", "dialogue_version")}
    return [
        {
            **key,
            "turn": turn + 1,
            "extractor": EXTRACTOR,
            "information": items[turn:],
            "decision": "CONTINUE" if turn < 2 else "STOP",
            "dropped_reason": None,
            "status": "ok",
            "error": None,
            "request_id": None,
        }
        for turn in range(3)
    ]


MESSAGE = pa.struct(
    [("role", pa.string()), ("content", pa.string()), ("ts", pa.timestamp("us", tz="UTC")), ("seq", pa.int64())]
)
TYPES = {
    "messages": pa.list_(MESSAGE),
    "information": pa.list_(pa.string()),
    "turn": pa.int32(),
    "context_end": pa.int32(),
    "utterance_messages": pa.int32(),
    "is_final": pa.bool_(),
}


def write(root: Path, table: str, rows: list[dict[str, object]]) -> None:
    schema = pa.schema([(name, TYPES.get(name, pa.string())) for name in rows[0]])
    write_deltalake(str(root / table), pa.Table.from_pylist(rows, schema=schema), mode="append")


def make_warehouse(root: Path, train: int = 24, dev: int = 6) -> Path:
    """Tables with so many dialogues in each split."""
    logged = [dialogue(n, "train") for n in range(train)] + [dialogue(n, "dev") for n in range(dev)]
    write(root, "dialogues", logged)
    write(root, "turns", [turn for one in logged for turn in turns(one)])
    write(root, "objectives", [row for one in logged for row in objectives(one)])
    created = pa.array([dt.datetime.now(dt.UTC)], pa.timestamp("us", "UTC"))
    judge = pa.table({"name": [EXTRACTOR], "created_at": created})
    write_deltalake(str(root / "judges"), judge)
    return root
