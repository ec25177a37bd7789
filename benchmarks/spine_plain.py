"""A splitter without tables: one Python process that reads JSON lines, loops over messages and writes a file.

It checks nothing, remembers nothing and has no versions: the floor that Spark's steps are seen beside, not a rival.
"""

from __future__ import annotations

import json
import time
from pathlib import Path


def decision_points(roles: list[str]) -> list[tuple[int, bool, int, int]]:
    """(turn, is_final, context_end, utterance_messages) of a dialogue with these roles, by a plain loop."""
    starts: list[int] = []
    last = None  # the last role that was no system or tool message
    for place, role in enumerate(roles):
        if role == "assistant" and last == "user":
            starts.append(place)
        if role in ("user", "assistant"):
            last = role
    if last == "user":
        starts.append(len(roles))
    points = []
    for turn, start in enumerate(starts, start=1):
        end = start
        while end < len(roles) and roles[end] != "user":
            end += 1
        points.append((turn, turn == len(starts), start, end - start))
    return points


def split(log: Path, output: Path, *, texts: bool) -> tuple[float, int]:
    """Seconds, and turns written, of splitting a native log: one JSON line a turn, with positions or with the texts."""
    started, turns = time.monotonic(), 0
    with log.open("rb") as lines, output.open("w", encoding="utf-8") as out:
        for line in lines:
            dialogue = json.loads(line)
            session, messages = dialogue["session_id"], dialogue["messages"]
            for turn, final, start, length in decision_points([message["role"] for message in messages]):
                row: list[object] = [session, turn, final, start, length]
                if texts:
                    row += [messages[:start], messages[start:]]
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                turns += 1
    return time.monotonic() - started, turns
