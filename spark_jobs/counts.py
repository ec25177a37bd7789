"""What a run of a step counted."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Counts:
    """What a run counted; the names are columns of `runs`."""

    rows_in: int = 0
    rows_out: int = 0
    rows_set_aside: int = 0
    rows_failed: int = 0
    rows_new: int | None = None
    rows_updated: int | None = None
    rows_unchanged: int | None = None
    rows_superseded: int | None = None
    rows_quarantined: int | None = None
    facts_dropped: int | None = None
    calls_paid: int = 0
    calls_saved: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def sentence(self) -> str:
        parts = [f"{self.rows_in:,} in", f"{self.rows_out:,} out"]
        names = ("new", "updated", "unchanged", "superseded", "quarantined")
        parts += [f"{value:,} {name}" for name in names if (value := getattr(self, f"rows_{name}"))]
        if self.rows_quarantined is None:
            parts += [f"{self.rows_set_aside:,} set aside"] if self.rows_set_aside else []
            parts += [f"{self.rows_failed:,} failed"] if self.rows_failed else []
            parts += [f"{self.facts_dropped:,} facts dropped"] if self.facts_dropped else []
        if self.calls_paid or self.calls_saved:
            parts.append(f"{self.calls_paid:,} calls paid, {self.calls_saved:,} saved")
        return ", ".join(parts)
