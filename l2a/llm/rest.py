"""Retry-After: an endpoint that asks for no calls for a while gets none, unless it evidently meant one request alone.

A rate limit refuses whatever is sent after the call that it refused first; so the whole endpoint rests. Another server
says the same words about single requests and answers all others; resting for each of them would leave it idle. Calls
that were already under way tell the two apart: an answer to one that was sent after the refused one ends the rest, and
from then on it takes several refusals to begin another, of most that was sent meanwhile. (The refused request itself
waits in any case, or goes elsewhere: one_request.py.)

Calls are numbered in the order in which they are sent. Times are seconds of the caller's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

REFUSALS_IN_A_ROW = 5
"""That begin a rest at an endpoint that has refused single requests before: so many at least, and every other call that
was sent since the first of them."""


@dataclass
class Rest:
    """Until when one endpoint is left in peace. `longest` caps what it may ask for, in seconds."""

    longest: float
    until: float = -inf
    _began: float | None = field(init=False, default=None)
    _sent: int = field(init=False, default=0)
    _first_refused: int = field(init=False, default=0)
    """Since a later call was answered."""
    _last_refused: int = field(init=False, default=0)
    _in_a_row: int = field(init=False, default=0)
    _single: bool = field(init=False, default=False)

    def on(self, now: float) -> bool:
        """Whether no call may be sent now."""
        return now < self.until

    def sent(self) -> int:
        """A call is sent; returns its number."""
        self._sent += 1
        return self._sent

    def refused(self, number: int, now: float, retry_after: float) -> None:
        """A call was answered with Retry-After."""
        self._first_refused = min(number, self._first_refused) if self._in_a_row else number
        self._last_refused = max(number, self._last_refused)
        self._in_a_row += 1
        sent_since = self._sent - self._first_refused + 1
        if self._single and self._in_a_row < max(REFUSALS_IN_A_ROW, sent_since / 2):
            return
        self._single = False
        if self._began is None:
            self._began = now
        self.until = max(self.until, now + min(retry_after, self.longest))

    def answered(self, number: int, now: float) -> None:
        """A call was answered."""
        if number > self._first_refused:
            self._in_a_row = 0
        if self.on(now) and number > self._last_refused:
            self.until, self._single = now, True

    def taken(self, now: float) -> float:
        """Seconds of the rest that has ended, told once; 0 where none has."""
        if self._began is None or self.on(now):
            return 0.0
        began, self._began = self._began, None
        return max(0.0, self.until - began)
