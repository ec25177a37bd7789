"""What a store of embeddings would save: how much of a night's text is text that earlier nights had, word for word.

    python -m benchmarks.texts_again LOG.jsonl ...        logs in the native form; the last tenth is the night

Counts each distinct text that the embedded judge encodes (users' messages, experts' questions) once, by its characters,
which is what encoding costs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from l2a.judge.embedded.text import topical

NIGHT = 0.1


def main(logs: list[Path]) -> None:
    """Prints a line a log."""
    for log in logs:
        with log.open(encoding="utf-8") as lines:
            dialogues = [json.loads(line) for line in lines]
        cut = round(len(dialogues) * (1 - NIGHT))
        before, night = _texts(dialogues[:cut]), _texts(dialogues[cut:])
        again = sum(map(len, before & night)) / sum(map(len, night))
        count = f"{len(dialogues) - cut:,} of {len(dialogues):,} dialogues, {len(night):,} texts"
        print(f"{log}: {count}, {again:.1%} known")


def _texts(dialogues: Iterable[dict[str, Any]]) -> set[str]:
    messages = [message for dialogue in dialogues for message in dialogue["messages"]]
    said = {message["content"] for message in messages if message["role"] == "user"}
    return said.union(*(topical(message["content"]) for message in messages if message["role"] == "assistant"))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
