"""The limit finds what fills an endpoint, follows when that changes, and is not misled by errors it does not cause.

Simulated clock, simulated endpoints: nothing here waits.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

import pytest

from l2a.llm.limiter import AdaptiveLimit

Server = Callable[[float, int, random.Random], tuple[float, bool]]
"""(now, calls in flight, random) -> (when the call ends, whether it was answered)."""


def run(server: Server, seconds: float = 60, ceiling: int = 256, seed: int = 0) -> tuple[float, list[int]]:
    """Answers per second in the last half, and the limit at each answer of that half."""
    limit, chance, now = AdaptiveLimit(ceiling), random.Random(seed), 0.0
    flying: list[tuple[float, int, float, bool]] = []
    answered, limits, number = 0, [], 0
    while now < seconds:
        while limit.free():
            number += 1
            limit.started(now)
            ends, ok = server(now, limit.in_flight, chance)
            heapq.heappush(flying, (ends, number, now, ok))
        now, _, started, ok = heapq.heappop(flying)
        if ok:
            limit.answered(now, now - started)
        else:
            limit.overloaded(now)
        if now > seconds / 2:
            answered += ok
            limits.append(limit.limit)
    return answered / (seconds / 2), limits


def fixed(rate: float, latency: float, errors: float = 0.0, most: int | None = None) -> Server:
    """Answers `rate` calls a second, none faster than `latency`; fails a share at random; 429 beyond `most` at once."""
    state = {"next": 0.0}
    inside: list[float] = []

    def serve(now: float, in_flight: int, chance: random.Random) -> tuple[float, bool]:
        while inside and inside[0] <= now:
            heapq.heappop(inside)
        if chance.random() < errors:
            return now + 0.01, False
        if most is not None and len(inside) >= most:
            return now + chance.uniform(0.02, 0.3), False
        state["next"] = max(state["next"], now) + 1 / rate
        ends = max(state["next"], now + latency * chance.uniform(0.9, 1.1))
        heapq.heappush(inside, ends)
        return ends, True

    return serve


@pytest.mark.parametrize(("latency", "just_full"), [(0.05, 10), (0.2, 40), (0.5, 100)])
def test_keeps_an_endpoint_of_fixed_capacity_full_and_no_fuller(latency: float, just_full: int) -> None:
    rate, limits = run(fixed(200, latency))
    assert rate >= 0.99 * 200
    assert max(limits) <= max(3 * just_full, just_full + 0.35 * 200), "at most a third of a second of queue"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_errors_that_do_not_come_from_load_do_not_empty_the_endpoint(share: float, seed: int) -> None:
    rate, _ = run(fixed(200, 0.2, errors=share), seed=seed)
    assert rate >= 0.95 * 200


def test_errors_of_an_endpoint_that_one_call_nearly_fills_do_not_shut_it() -> None:
    rate, _ = run(fixed(500, 0.001, errors=0.07), seconds=30)
    assert rate >= 0.95 * 500


def test_429s_that_come_from_load_bound_the_limit() -> None:
    rate, limits = run(fixed(200, 0.2, most=20))
    assert rate >= 0.8 * 100, "20 at once, 0.2 s each: 100 a second"
    assert max(limits) <= 32


def test_queue_time_that_rises_cuts_the_limit() -> None:
    before, after = fixed(200, 0.2), fixed(50, 0.2)
    rate, limits = run(lambda now, n, chance: (before if now < 20 else after)(now, n, chance), seconds=120)
    assert rate >= 0.95 * 50
    assert limits[-1] <= 40, "40 were right for 200 a second; 10 fill 50 a second"


def test_longer_work_is_not_taken_for_a_queue() -> None:
    def endless_capacity(now: float, in_flight: int, chance: random.Random) -> tuple[float, bool]:
        return now + (0.5 if now < 30 else 2.0) * chance.uniform(0.5, 1.5), True

    _, limits = run(endless_capacity, seconds=120, ceiling=128)
    assert limits[-1] == 128


def test_an_endpoint_that_batches_is_given_a_batch() -> None:
    def batching(now: float, in_flight: int, chance: random.Random) -> tuple[float, bool]:
        # As measured on vLLM: 6 a second one at a time, 70 with 64 in flight.
        return now + (0.15 + 0.012 * in_flight) * chance.uniform(0.5, 1.5), True

    rate, _ = run(batching, ceiling=64)
    assert rate >= 0.9 * 64 / (0.15 + 0.012 * 64)


def test_never_beyond_the_ceiling_and_never_below_one() -> None:
    assert max(run(fixed(1000, 0.1), ceiling=5)[1]) == 5
    _, limits = run(lambda now, n, chance: (now + 0.1, False), seconds=30)
    assert min(limits) >= 1
