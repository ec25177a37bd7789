"""How many calls one endpoint may have in flight: as many as keep it full, and no more.

Additive increase, multiplicative decrease, over windows of about one latency:

- While doubling still brings more answers a second, the limit doubles (the start).
- Then it creeps up by one a window (by a quarter while there is no queue at all), as long as answers do not take much
  longer than they did when the endpoint was just full (the baseline): beyond that point, more calls in flight only
  stand in the endpoint's queue.
- Queue time that has risen, 429s, 503s and timeouts cut it by a fixed factor.

Latency and errors alone mislead: answers get longer when the work gets longer, and an endpoint may fail at random. So
every cut is an experiment. Where answers per second fall with the limit, or as many errors come as before, the calls in
flight were not the cause: the cut is taken back, and that latency, or that share of errors, is the new normal. Sources
of the parts: TCP's AIMD (Chiu and Jain 1989), TCP Vegas (Brakmo 1995) for the baseline; the experiment is ours.

All times are seconds of a clock that the caller reads, so that tests can simulate one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

GROWTH_WORTH_IT = 1.1
"""Doubling the limit goes on while it brings this much more answers a second."""
GROWTH_FREE = 1.6
"""From this much more on, the endpoint was not nearly full."""
HEADROOM, HEADROOM_SECONDS = 1.5, 0.1
"""Calls in flight over those that just fill the endpoint, as a factor or as seconds of its work, whichever is more:
they cover the time between an answer and the next call, and the pauses of a busy machine."""
NO_QUEUE = 1.2
"""Latency over the baseline up to which the endpoint has room."""
QUEUE_TOLERATED, QUEUE_TOLERATED_SECONDS = 2.0, 0.2
"""Latency over the baseline (factor, seconds) above which the queue is too long; above HEADROOM, or the limit would cut
itself."""
CUT_QUEUE, CUT_ERRORS = 0.8, 0.7
"""Factors of a decrease."""
WORTH_TAKING_BACK = 0.6
"""A cut by a share s was wrong if it cost more than this part of s in answers per second."""
ERRORS_TOLERATED = 0.05
"""Share of overload answers above the share that does not come from our load."""
ERRORS_OF_A_NEAR_LIMIT = 0.4
"""Share of overload answers up to which one cut would end those that the load brings."""
ERRORS_WHILE_GROWING = 0.5
"""Share of overload answers up to which doubling goes on: whether it brings more answers tells more than they do."""
SHORTEST_WINDOW, LONGEST_WINDOW = 0.5, 30.0
FEWEST_OUTCOMES, FEWEST_IN_TRIAL = 20, 50
"""Tries that a window needs: more where two windows are compared closely."""


@dataclass
class _Window:
    start: float
    answers: int = 0
    overloads: int = 0
    latency: float = 0.0
    busy_area: float = 0.0
    """Integral of calls in flight over time."""


@dataclass(frozen=True)
class _Trial:
    """A cut whose effect is being measured, or (`low` set) one that was taken back, whose return is."""

    kind: str
    """`errors` or `queue`: the signal that led to the cut."""
    limit: float
    """Before the cut, like everything here but `low`."""
    rate: float
    signal: float
    baseline: float | None
    background: float
    growing: bool
    low: float | None = None
    """Answers per second under the cut."""


@dataclass
class AdaptiveLimit:
    """The limit of one endpoint. Call `started` and one of `answered`, `overloaded`, `dropped` per try."""

    ceiling: int
    first: int = 8
    in_flight: int = 0
    value: float = field(init=False)
    _growing: bool = field(init=False, default=True)
    _window: _Window | None = field(init=False, default=None)
    _settle_until: float = field(init=False, default=0.0)
    _last_time: float = field(init=False, default=0.0)
    _baseline: float | None = field(init=False, default=None)
    _background: float = field(init=False, default=0.0)
    _best_rate: float = field(init=False, default=0.0)
    _latencies_by_rate: list[tuple[float, float]] = field(init=False, default_factory=list)
    _trial: _Trial | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.value = float(min(self.first, self.ceiling))

    @property
    def limit(self) -> int:
        """Calls that may be in flight, at least 1."""
        return max(1, min(self.ceiling, int(self.value)))

    def free(self) -> int:
        """Calls that may be started now."""
        return max(0, self.limit - self.in_flight)

    def restart(self) -> None:
        """Forgets the capacity, but not what is in flight: the endpoint was away and may have changed."""
        self.value = float(min(self.first, self.ceiling))
        self._growing, self._window, self._trial, self._baseline = True, None, None, None
        self._best_rate, self._latencies_by_rate = 0.0, []

    def rested(self, now: float, seconds: float) -> None:
        """No try was allowed for so long until now (Retry-After): time that says nothing about what fills it."""
        if self._window is not None:
            self._window.start = min(now, self._window.start + seconds)
            self._last_time = now

    def started(self, now: float) -> None:
        """A try was sent."""
        self._advance(now)
        self.in_flight += 1

    def answered(self, now: float, latency: float) -> None:
        """A try was answered, whatever the answer is worth."""
        self._ended(now)
        if self._window is not None:
            self._window.answers += 1
            self._window.latency += latency
        self._close_if_due(now)

    def overloaded(self, now: float) -> None:
        """A try ended with 429, 503 or a timeout."""
        self._ended(now)
        if self._window is not None:
            self._window.overloads += 1
        self._close_if_due(now)

    def dropped(self, now: float) -> None:
        """A try ended in a way that says nothing about load."""
        self._ended(now)
        self._close_if_due(now)

    def _ended(self, now: float) -> None:
        self._advance(now)
        self.in_flight -= 1

    def _advance(self, now: float) -> None:
        if self._window is None:
            if now >= self._settle_until:
                self._window = _Window(now)
        else:
            self._window.busy_area += self.in_flight * max(0.0, now - self._last_time)
        self._last_time = now

    def _close_if_due(self, now: float) -> None:
        window = self._window
        if window is None:
            return
        seconds = now - window.start
        mean = window.latency / window.answers if window.answers else 0.0
        fewest = FEWEST_OUTCOMES if self._trial is None else FEWEST_IN_TRIAL
        enough = window.answers + window.overloads >= max(fewest, self.limit // 2)
        if seconds < max(SHORTEST_WINDOW, min(mean, LONGEST_WINDOW)) or not (enough or seconds >= LONGEST_WINDOW):
            return
        full = window.busy_area / seconds >= 0.8 * self.limit
        before = self.value
        self._judge(window.answers / seconds, mean, window.overloads / (window.answers + window.overloads or 1), full)
        self.value = min(max(self.value, 1.0), float(self.ceiling))
        # Calls sent under the old limit would blur what the next window measures.
        changed = abs(self.value - before) >= max(1.5, 0.05 * before)
        self._window = None
        self._settle_until = now + (mean if changed else 0.0)

    def _judge(self, rate: float, latency: float, errors: float, full: bool) -> None:
        if self._trial is not None and self._end_trial(self._trial, rate, latency, errors):
            return
        if self._growing and full and errors <= ERRORS_WHILE_GROWING:
            self._grow(rate, latency, errors)
        elif errors > self._background + max(ERRORS_TOLERATED, self._background / 2):
            self._decrease(CUT_ERRORS, rate, errors, "errors")
        elif not full or self._growing:
            return
        elif self._baseline is not None and latency > self._too_long(self._baseline):
            self._decrease(CUT_QUEUE, rate, latency, "queue")
        else:
            self._baseline = latency if self._baseline is None else min(self._baseline, latency)
            self.value += max(1.0, 0.25 * self.value) if latency <= NO_QUEUE * self._baseline else 1.0

    def _grow(self, rate: float, latency: float, errors: float) -> None:
        self._latencies_by_rate.append((rate, latency))
        if rate >= GROWTH_WORTH_IT * self._best_rate:
            if rate >= GROWTH_FREE * self._best_rate > 0:
                # Twice the load brought about twice the answers: it is not the load that brings these errors.
                self._background = max(self._background, errors)
            self._best_rate = rate
            self.value *= 2
            return
        # The endpoint is full: the lightest load that nearly filled it tells how long an answer takes without a queue.
        self._growing = False
        self._best_rate = max(self._best_rate, rate)
        self._baseline = min(seconds for seen, seconds in self._latencies_by_rate if seen >= 0.7 * self._best_rate)
        seconds = max(HEADROOM * self._baseline, self._baseline + HEADROOM_SECONDS)
        self.value = min(self.value, max(2.0, self._best_rate * seconds))

    @staticmethod
    def _too_long(baseline: float) -> float:
        return max(QUEUE_TOLERATED * baseline, baseline + QUEUE_TOLERATED_SECONDS)

    def _decrease(self, factor: float, rate: float, signal: float, kind: str) -> None:
        if self.value < 2:
            if kind == "errors":
                # One call at a time, and still: the load cannot be the cause.
                self._background = signal
            return
        self._trial = _Trial(kind, self.value, rate, signal, self._baseline, self._background, self._growing)
        self._growing = False
        self.value *= factor

    def _end_trial(self, trial: _Trial, rate: float, latency: float, errors: float) -> bool:
        """Reads the experiment's outcome. True: the limit has been set, and this window says no more."""
        self._trial = None
        if trial.low is not None:
            # The cut was taken back. If answers per second did not come back as well, it was not the cut that cost them
            # (the endpoint changed meanwhile): what was learnt from it is forgotten, and the signal may speak again.
            if rate < (trial.low + trial.rate) / 2:
                self._baseline, self._background = trial.baseline, trial.background
            return False
        lost = 1 - rate / trial.rate if trial.rate > 0 else 0.0
        costly = lost >= WORTH_TAKING_BACK * (1 - max(self.value, 1.0) / trial.limit)
        if trial.kind == "errors":
            # Fewer calls must bring far fewer errors, if it was they that brought them. (Not so far beyond what an
            # endpoint takes: at twice its capacity half of all calls are errors, and after the cut still 0.3.)
            above, above_before = errors - trial.background, trial.signal - trial.background
            idle = above >= above_before / 2 and (trial.signal <= ERRORS_OF_A_NEAR_LIMIT or costly)
            if not idle:
                return False
            self._background = min(trial.signal, errors)
        elif not costly:
            return False
        else:
            self._baseline = latency
        self.value = trial.limit
        self._growing = trial.growing
        self._trial = replace(trial, low=rate)
        return True
