"""Answers that become long are waited for where nobody else could give them: a call that is cut is paid for."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pytest
from llm_asking import quick, request

from l2a.llm import errors
from l2a.llm.answer import AnswerRow
from l2a.llm.asking import Asking
from l2a.llm.chaos.plan import ChaosSettings, Mode
from l2a.llm.chaos.running import chaos_endpoint
from l2a.llm.client import Client
from l2a.llm.endpoint import Endpoint, State
from l2a.llm.progress import Progress
from l2a.llm.router import Router
from l2a.llm.sync import answer_batches

LONG = 0.9


@pytest.mark.parametrize("count", [1, 2])
def test_answers_that_become_long_everywhere_still_arrive(count: int) -> None:
    rows: list[AnswerRow] = []
    with ExitStack() as stack:
        chaos_settings = ChaosSettings(slow_seconds=LONG, calls_per_second=100)
        endpoints = [stack.enter_context(chaos_endpoint(chaos_settings)) for _ in range(count)]
        settings = quick(
            *(endpoint.url for endpoint in endpoints),
            stall_seconds=0.2, endpoint_wait_seconds=LONG, try_timeout_seconds=6, flush_seconds=0.05,
        )  # fmt: skip
        for batch in answer_batches((request(str(number), session_id=str(number)) for number in range(60)), settings):
            rows += batch
            if len(rows) >= 20:
                for endpoint in endpoints:
                    endpoint.switch(Mode.SLOW)
        tries = sum(endpoint.server.record.tries.total() for endpoint in endpoints)
    assert Counter(row.status for row in rows) == {"ok": 60}
    # Of two that fall silent, the first hands its calls to the other, which then has nobody to hand them to.
    assert tries <= (60 if count == 1 else 90)


def in_use(count: int = 1, **changes: object) -> list[Endpoint]:
    """Endpoints that have answered in a tenth of a second so far."""
    endpoints = [Endpoint(f"http://e{number}/v1", quick(**changes), 100) for number in range(count)]
    for endpoint in endpoints:
        for start in range(20):
            endpoint.answered(endpoint.start(start), start + 0.1)
        endpoint.tick(20.0, 0.25, [other for other in endpoints if other is not endpoint])
    return endpoints


def test_silence_is_borne_for_a_whole_try_only_where_there_is_nobody_else() -> None:
    for count, earliest, latest in ((1, 30.0, 30.5), (2, 0.0, 5.5)):
        first, *others = in_use(count, stall_seconds=5.0, try_timeout_seconds=30.0)
        for _ in range(3):
            first.start(20.0)
        seconds = 0.0
        while first.state is State.IN_USE:
            seconds += 0.25
            first.tick(20 + seconds, 0.25, others)
        assert earliest <= seconds <= latest


def test_trials_take_longer_each_time_until_one_can_be_answered() -> None:
    (endpoint,) = in_use(stall_seconds=1.0, try_timeout_seconds=10.0, probe_max_seconds=0.1)
    settings, now = endpoint.settings, 100.0
    seen: list[float] = []
    asking = Asking(settings, Client(settings), Router([endpoint], 100, lambda: now), Progress())
    endpoint.leave(now, "test")
    while len(seen) < 5:
        endpoint.tick(now := now + 1.0, 0.25, [])
        trial = endpoint.start(now)
        seen.append(asking.patience(trial))
        endpoint.failed(trial, now := now + seen[-1], errors.TimedOut("no answer"))
    assert seen == [1, 2, 4, 8, 10]


def test_trials_stay_short_while_another_endpoint_does_the_work() -> None:
    one, two = in_use(2, stall_seconds=1.0, try_timeout_seconds=10.0)
    asking = Asking(one.settings, Client(one.settings), Router([one, two], 100, lambda: 0.0), Progress())
    one.trials_unanswered = 5
    one.leave(100.0, "test")
    one.tick(101.0, 0.25, [two])
    assert asking.patience(one.start(101.0)) == 1


@pytest.mark.parametrize(("count", "state"), [(1, State.IN_USE), (2, State.LEFT)])
def test_slower_than_before_is_good_enough_where_nobody_is_faster(count: int, state: State) -> None:
    first, *others = in_use(count)
    first.leave(100.0, "test")
    first.tick(101.0, 0.25, others)
    first.answered(first.start(101.0), 106.0)
    assert first.state is state
