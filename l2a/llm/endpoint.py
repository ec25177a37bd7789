"""How one endpoint is doing: in use, left, or being tried again. Times are seconds of the caller's clock.

    in use ──(failures in a row; hung; slow)──> left ──(after a wait, doubling)──> on trial ──(answers)──> in use
                                                 ^                                    │
                                                 └──────────(fails, or still slow)────┘

On trial, an endpoint gets one call at a time. A real call is the only honest probe: a server may answer /health and no
completion.

Slow and silent are measured against the others: whoever has nobody to hand its calls to is waited for, as long as a try
may take, since a cut call is paid for and its answer lost.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from statistics import median

from l2a.llm.errors import Overloaded, RateLimited, TimedOut, TransientError
from l2a.llm.limiter import AdaptiveLimit
from l2a.llm.rest import Rest
from l2a.settings.llm import LLMSettings

log = logging.getLogger(__name__)

RECENT = 32
"""Answers whose latency counts as recent."""
ENOUGH_TO_JUDGE = 8
"""Answers before an endpoint is called slow."""
STALLED = 5
"""Silence of this many times the slowest recent answer (and of stall_seconds) means that an endpoint hangs."""
SLOW_AT_LEAST_SECONDS = 1.0
"""Nobody minds an endpoint that takes 40 ms where the others take 10."""


class State(Enum):
    """Whether an endpoint gets calls."""

    IN_USE = "in use"
    LEFT = "left"
    ON_TRIAL = "on trial"


@dataclass(eq=False)
class Try:
    """One call in flight at an endpoint."""

    endpoint: Endpoint
    started: float
    trial: bool
    """Whether it decides if the endpoint comes back."""
    number: int
    """In the order in which calls were sent there."""


@dataclass(eq=False)
class Endpoint:
    """One endpoint's state, limit and recent latencies."""

    url: str
    settings: LLMSettings
    ceiling: int
    state: State = State.IN_USE
    limiter: AdaptiveLimit = field(init=False)
    rest: Rest = field(init=False)
    tries: set[Try] = field(default_factory=set)
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    failures_in_a_row: int = 0
    last_error: str = ""
    """What failed there last."""
    trials_unanswered: int = 0
    """Since it was left: each may take twice as long as the one before, where no other endpoint is in use."""
    alone: bool = True
    """Whether no other endpoint is in use; as of the last tick."""
    waited_for: bool = False
    """Whether it is silent for as long as one that hangs, but alone."""
    retry_at: float = 0.0
    _wait: float = field(init=False)
    _typical_of_others: float | None = None
    """Median latency of the fastest other in use, as of the last tick."""
    _usual: float | None = None
    """Median latency when the endpoint was last known to be well; follows slowly."""
    _silent_for: float = 0.0
    _slow_for: float = 0.0
    _failing_since: float | None = None
    _overdue: int = 0
    """Calls that take far longer than others do here. They do not count towards the limit, up to as many again, so that
    slow or lost calls do not hold back the rest."""

    def __post_init__(self) -> None:
        self.limiter = AdaptiveLimit(self.ceiling, self.settings.first_in_flight)
        self.rest = Rest(self.settings.endpoint_wait_seconds)
        self._wait = self.settings.probe_seconds

    def takes_calls(self, now: float) -> bool:
        """Whether it is in use, and has not asked for a pause."""
        return self.state is State.IN_USE and not self.rest.on(now)

    def free(self, now: float) -> int:
        """Calls that may be started now."""
        if self.rest.on(now):
            return 0
        if self.state is State.IN_USE:
            limit = self.limiter.limit
            return max(0, limit + min(self._overdue, limit) - self.limiter.in_flight)
        return 1 if self.state is State.ON_TRIAL and not any(call.trial for call in self.tries) else 0

    def load(self) -> float:
        """Calls in flight over the limit."""
        return self.limiter.in_flight / self.limiter.limit

    def start(self, now: float) -> Try:
        """A call is sent."""
        call = Try(self, now, trial=self.state is State.ON_TRIAL, number=self.rest.sent())
        if not self.tries:
            self._silent_for = 0.0
        self.tries.add(call)
        if (rested := self.rest.taken(now)) > 0:
            self.limiter.rested(now, rested)
        self.limiter.started(now)
        return call

    def answered(self, call: Try, now: float) -> None:
        """It was answered (also with an error that is the request's own fault): the endpoint is alive."""
        latency = now - call.started
        self._silent_for = 0.0
        self.tries.discard(call)
        self.rest.answered(call.number, now)
        self.limiter.answered(now, latency)
        self.failures_in_a_row, self._failing_since = 0, None
        if self.state is State.IN_USE:
            self.latencies.append(latency)
        elif call.trial and self.state is State.ON_TRIAL:
            if self._usual is not None and self._is_slower(latency, self._usual):
                self.leave(now, "still slow")
            else:
                self._return()

    def failed(self, call: Try, now: float, error: TransientError) -> None:
        """It failed in a way that may pass."""
        overload = isinstance(error, (RateLimited, Overloaded, TimedOut))
        unanswered = isinstance(error, TimedOut) and error.status is None
        self.tries.discard(call)
        self._silent_for = self._silent_for if unanswered else 0.0
        if error.retry_after:
            self.rest.refused(call.number, now, error.retry_after)
        (self.limiter.overloaded if overload else self.limiter.dropped)(now)
        self.failures_in_a_row += 1
        self.last_error = f"{type(error).__name__}: {error}"
        self._failing_since = now if self._failing_since is None else self._failing_since
        if self.state is State.ON_TRIAL and call.trial:
            self.trials_unanswered += unanswered
            self.leave(now, "failed again", error.retry_after, patient=error.status in (None, 200))
        elif (
            # The time as well as the number: a busy endpoint that fails every third call has such rows by chance.
            self.state is State.IN_USE
            and self.failures_in_a_row >= self.settings.breaker_failures
            and (
                now - self._failing_since >= self.settings.probe_seconds
                or self.failures_in_a_row >= 3 * self.settings.breaker_failures
            )
        ):
            self.leave(
                now, f"{self.failures_in_a_row} failures in a row, the last: {self.last_error}", error.retry_after
            )

    def given_up(self, call: Try, now: float) -> None:
        """It was cancelled by us."""
        self.tries.discard(call)
        self.limiter.dropped(now)

    def leave(self, now: float, why: str, retry_after: float | None = None, patient: bool = True) -> None:
        """No more calls until a wait is over; the next wait is twice as long, but for those who at least answer."""
        wait = max(self._wait, min(retry_after or 0.0, self.settings.endpoint_wait_seconds))
        if self.state is State.IN_USE:
            log.warning("endpoint %s is left for %.0f s: %s", self.url, wait, why)
        self.state = State.LEFT
        self.retry_at = now + wait
        if patient:
            self._wait = min(2 * self._wait, self.settings.probe_max_seconds)
        self._slow_for = self._silent_for = 0.0
        self._overdue = 0

    def tick(self, now: float, passed: float, others: list[Endpoint]) -> bool:
        """Looks at what no answer tells: silence and slowness. `passed` is the time since the last tick, capped by the
        caller, so that a pause of our own process does not count as the endpoint's silence.

        Returns True if the endpoint hung just now, so that its calls must be taken elsewhere.
        """
        in_use = [other for other in others if other.takes_calls(now)]
        self.alone, self.waited_for = not in_use, False
        self._typical_of_others = min((median(other.latencies) for other in in_use if other.latencies), default=None)
        if self.state is State.LEFT and now >= self.retry_at:
            self.state = State.ON_TRIAL
        if self.state is not State.IN_USE:
            return False
        if self.latencies:
            late = max(SLOW_AT_LEAST_SECONDS, 5 * median(self.latencies))
            self._overdue = sum(now - call.started > late for call in self.tries)
        self._silent_for = self._silent_for + passed if self.tries else 0.0
        known = [seconds for endpoint in (self, *others) for seconds in endpoint.latencies]
        if known and self._silent_for > max(self.settings.stall_seconds, STALLED * max(known)):
            self.waited_for = self.alone and self._silent_for <= self.settings.try_timeout_seconds
            if not self.waited_for and len(self.tries) >= 2:
                self.leave(now, f"it has not answered any of {len(self.tries)} calls for {self._silent_for:.0f} s")
                return True
        self._slow_for = self._slow_for + passed if self._is_slow(now) else 0.0
        if self._slow_for >= 2.0:
            self.leave(now, "it has turned slow")
        return False

    def _is_slow(self, now: float) -> bool:
        if len(self.latencies) < ENOUGH_TO_JUDGE:
            return False
        ages = [now - call.started for call in self.tries]
        seconds = max(median(self.latencies), median(ages) if ages else 0.0)
        usual = self._usual if self._usual is not None else seconds
        if not self._is_longer(seconds, usual):
            self._usual = usual + 0.05 * (median(self.latencies) - usual)
        return self._is_slower(seconds, usual)

    def _is_slower(self, seconds: float, usual: float) -> bool:
        """Whether it is slower than it was, and than the others: work that got longer is longer everywhere."""
        others = self._typical_of_others
        return others is not None and self._is_longer(seconds, usual) and seconds > self.settings.slow_factor * others

    def _is_longer(self, seconds: float, usual: float) -> bool:
        return seconds > max(self.settings.slow_factor * usual, SLOW_AT_LEAST_SECONDS)

    def _return(self) -> None:
        log.warning("endpoint %s answers again", self.url)
        self.state = State.IN_USE
        self.trials_unanswered = 0
        self._wait = self.settings.probe_seconds
        self.latencies.clear()
        self.limiter.restart()
