"""What the chaos endpoint served: enough to tell whether anybody asked again for what they had been given."""

from __future__ import annotations

import json
from collections import Counter
from io import TextIOWrapper
from pathlib import Path


class Record:
    """Counts per request (its address), and one line per served request in a file that survives the process."""

    def __init__(self, path: Path | None = None) -> None:
        self.tries: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.prompt_tokens = self.cached_tokens = self.completion_tokens = 0
        self._file: TextIOWrapper | None = path.open("a", encoding="utf-8") if path else None

    def serve(self, request: str, prompt: int, cached: int, completion: int) -> None:
        """A whole, sound answer has been sent."""
        self.served[request] += 1
        self.prompt_tokens += prompt
        self.cached_tokens += cached
        self.completion_tokens += completion
        if self._file is not None:
            line = {
                "request": request,
                "prompt_tokens": prompt,
                "cached_tokens": cached,
                "completion_tokens": completion,
            }
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def summary(self) -> dict[str, object]:
        """Counts, and the requests that were served more than once."""
        return {
            "requests": len(self.tries),
            "tries": self.tries.total(),
            "served": self.served.total(),
            "served_twice": sorted(request for request, count in self.served.items() if count > 1),
            "outcomes": dict(sorted(self.outcomes.items())),
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
        }
