"""What kind of log is wanted: one object, checked where it is made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from l2a.errors import UsageError
from l2a.synth.domains import load_domains

FORMATS = ("native", "events", "openai")
_1970 = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class LogSpec:
    """A made-up log. Shares lie in [0, 1]; `bad_share` below 1, of all lines; the others are shares of the dialogues.

    Raises:
        UsageError: a value that makes no sense, or repeats in an event log (whose rows have no versions).
    """

    dialogues: int
    seed: int = 0
    format: str = "native"
    failed_share: float = 0.12
    """Dialogues whose goal was not reached."""
    correction_share: float = 0.0
    """Sessions that appear once more, later in the log, in a newer and changed version."""
    late_share: float = 0.0
    """Sessions whose older version arrives after the newer one."""
    duplicate_share: float = 0.0
    """Sessions whose line appears twice, byte for byte."""
    bad_share: float = 0.0
    """Broken lines among all lines: 0.5 means one beside every good one."""
    oversize_bytes: int | None = None
    """Where set, one more kind of broken line: valid, with a message of that many bytes."""
    start: date = date(2026, 11, 1)
    """First day of the log, UTC."""
    days: int = 28
    """Dialogues begin on one of so many days from `start`."""
    domains: tuple[str, ...] = ()
    """Names of the domains; none: all that ship."""

    def __post_init__(self) -> None:
        if self.dialogues < 0:
            raise UsageError(f"The number of dialogues must be 0 or more, not {self.dialogues}.")
        if self.format not in FORMATS:
            raise UsageError(f"There is no log format {self.format!r}. Choose one of {', '.join(FORMATS)}.")
        for name in ("failed_share", "correction_share", "late_share", "duplicate_share", "bad_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must lie between 0 and 1, not {getattr(self, name)}.")
        if self.bad_share == 1:
            raise UsageError("bad_share must be below 1: a log of N dialogues has good lines.")
        if self.repeated_share > 1:
            raise UsageError("correction_share, late_share and duplicate_share must not add up to more than 1.")
        if self.format == "events" and self.repeated_share:
            raise UsageError(
                "An event log has no versions of a session: correction, late and duplicate shares must be 0."
            )
        if self.oversize_bytes is not None and self.oversize_bytes < 1:
            raise UsageError(f"oversize_bytes must be 1 or more, not {self.oversize_bytes}.")
        known = [domain.name for domain in load_domains()] if self.domains else []
        if unknown := sorted(set(self.domains).difference(known)):
            raise UsageError(f"There is no domain {', '.join(unknown)}. Choose from {', '.join(known)}.")
        if self.days < 1:
            raise UsageError(f"days must be 1 or more, not {self.days}.")

    @property
    def repeated_share(self) -> float:
        """Share of the sessions that appear twice."""
        return self.correction_share + self.late_share + self.duplicate_share

    @property
    def start_second(self) -> int:
        """`start` as seconds since 1970, UTC."""
        return (self.start.toordinal() - _1970) * 86_400

    @property
    def bad_ratio(self) -> tuple[int, int]:
        """Broken lines per good line, as an exact fraction: numerator, denominator."""
        bad = Fraction(str(self.bad_share))
        return (bad / (1 - bad)).as_integer_ratio()
