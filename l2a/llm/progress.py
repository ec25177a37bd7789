"""What a run of calls has done so far: counters that can be added up over tasks, and one line of them for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from l2a.llm.answer import AnswerRow


@dataclass
class Progress:
    """Counters of one engine. All are sums, but in_flight and waiting, which are as of now."""

    taken: int = 0
    """Requests taken from the caller."""
    ok: int = 0
    failed: int = 0
    in_flight: int = 0
    waiting: int = 0
    tries: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    """Money, where prices are set."""
    failed_by_class: Counter[str] = field(default_factory=Counter)
    """Rows by error_class."""
    retried_by_class: Counter[str] = field(default_factory=Counter)
    """Tries that did not become a row, by error_class."""

    @property
    def done(self) -> int:
        """Requests that have become a row."""
        return self.ok + self.failed

    def count(self, row: AnswerRow) -> None:
        """A request became a row. Tokens and cost are counted per try, as they come."""
        if row.ok:
            self.ok += 1
        else:
            self.failed += 1
            self.failed_by_class[row.error_class or ""] += 1

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for logs and accumulators."""
        plain = {name: value for name, value in vars(self).items() if not isinstance(value, Counter)}
        return plain | {
            "failed_by_class": dict(sorted(self.failed_by_class.items())),
            "retried_by_class": dict(sorted(self.retried_by_class.items())),
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Progress:
        """Reads what `as_dict` gave."""
        counters = {name: Counter(plain[name]) for name in ("failed_by_class", "retried_by_class")}
        return cls(**{name: value for name, value in (plain | counters).items() if name in cls.__dataclass_fields__})

    def __add__(self, other: Progress) -> Progress:
        """Two tasks' counters together."""
        return Progress(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def line(self, seconds: float, total: int | None = None) -> str:
        """One line: done, rate, in flight, cache share, tokens per second, errors, time left."""
        rate = self.done / seconds if seconds > 0 else 0.0
        tokens = (self.prompt_tokens + self.completion_tokens) / seconds if seconds > 0 else 0.0
        cached = self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0
        parts = [
            f"{self.done:,}" + (f" of {total:,}" if total is not None else "") + " done",
            f"{rate:.1f}/s",
            f"{self.in_flight} in flight",
            f"cache {cached:.0%}",
            f"{tokens:,.0f} tokens/s",
        ]
        if self.cost:
            parts.append(f"cost {self.cost:,.2f}")
        for word, errors in (("failed", self.failed_by_class), ("retried", self.retried_by_class)):
            if errors:
                parts.append(f"{word} " + ", ".join(f"{count:,} {name}" for name, count in errors.most_common(3)))
        if total is not None and rate > 0:
            left = round(max(0, total - self.done) / rate)
            parts.append(f"{left // 3600}:{left % 3600 // 60:02}:{left % 60:02} left")
        return " | ".join(parts)
