"""Retry-After: an endpoint that asks for no calls for a while gets none, unless it evidently meant one request alone.

A rate limit refuses whatever is sent after the call that it refused first; so the whole endpoint rests. Another server
says the same words about single requests and answers all others; resting for each of them would leave it idle. What it
does with calls that were already under way tells the two apart: an answer to a call that was sent after the refused one
ends the rest, and from then on it takes several refusals in a row to begin another. (The refused request itself waits
in any case, or goes elsewhere: asking.py.)

Times are seconds of the caller's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

REFUSALS_IN_A_ROW = 5
"""That begin a rest at an endpoint that has refused single requests before: so many at least, and every other call."""


@dataclass
class Rest:
    """Until when one endpoint is left in peace. `longest` caps what it may ask for, in seconds."""

    longest: float
    until: float = -inf
    _began: float | None = field(init=False, default=None)
    _refused: float = field(init=False, default=-inf)
    """When the latest of the refused calls was sent."""
    _in_a_row: int = field(init=False, default=0)
    _sent: int = field(init=False, default=0)
    """Calls since the last answer."""
    _single: bool = field(init=False, default=False)

    def on(self, now: float) -> bool:
        """Whether no call may be sent now."""
        return now < self.until

    def sent(self) -> None:
        """A call is sent."""
        self._sent += 1

    def refused(self, sent: float, now: float, retry_after: float) -> None:
        """A call that was sent at `sent` was answered with Retry-After."""
        self._in_a_row += 1
        if self._single and self._in_a_row < max(REFUSALS_IN_A_ROW, self._sent / 2):
            return
        self._single = False
        self._refused = max(self._refused, sent)
        if not self.on(now) and self._began is None:
            self._began = now
        self.until = max(self.until, now + min(retry_after, self.longest))

    def answered(self, sent: float, now: float) -> None:
        """A call that was sent at `sent` was answered."""
        self._in_a_row = self._sent = 0
        if self.on(now) and sent > self._refused:
            self.until, self._single = now, True

    def taken(self, now: float) -> float:
        """Seconds of the rest that has ended, told once; 0 where none has."""
        if self._began is None or self.on(now):
            return 0.0
        began, self._began = self._began, None
        return max(0.0, self.until - began)
