"""Retry-After is a word about the endpoint: it gets no calls until then, and nobody else waits for it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from llm_asking import ask, ask_one, quick, request

from l2a.llm import errors
from l2a.llm.chaos.plan import ChaosSettings, Fault
from l2a.llm.chaos.running import chaos_endpoint
from l2a.llm.endpoint import Endpoint
from l2a.llm.rest import Rest
from l2a.llm.router import Router


def refusing(share: float, seconds: float, tries: int = 1) -> ChaosSettings:
    """429 to a share of the requests, at their first tries."""
    return ChaosSettings(faults={Fault.RATE_LIMIT: share}, retry_after_seconds=seconds, fault_tries=tries)


@pytest.mark.parametrize(("share", "seconds"), [(0.1, 3600.0), (1.0, 5.0)])
def test_a_request_that_one_endpoint_puts_off_is_answered_by_another(share: float, seconds: float) -> None:
    with chaos_endpoint(refusing(share, seconds, tries=1000)) as busy, chaos_endpoint() as idle:
        requests = [request(str(number), session_id=str(number)) for number in range(200)]
        # Whoever waited for the busy one would run out of time.
        rows = ask(requests, quick(busy.url, idle.url, total_timeout_seconds=3))
        assert Counter((row.status, row.error) for row in rows) == {("ok", None): 200}
        refused = busy.server.record.outcomes[Fault.RATE_LIMIT]
        assert 0 < refused == sum(row.attempts - 1 for row in rows)


def test_an_absurd_retry_after_costs_a_wait_and_not_the_row() -> None:
    with chaos_endpoint(refusing(1.0, 3600.0)) as chaos:
        row = ask_one(quick(chaos.url, endpoint_wait_seconds=0.3))
    assert (row.status, row.attempts) == ("ok", 2)


def test_an_endpoint_gets_no_call_before_its_retry_after_is_over() -> None:
    clock = [0.0]
    (endpoint,) = endpoints = [Endpoint("http://e/v1", quick(), 100)]
    router = Router(endpoints, 100, lambda: clock[0])

    async def go() -> None:
        waiting = [asyncio.create_task(router.take(str(number))) for number in range(30)]
        await asyncio.sleep(0)
        sent = list(endpoint.tries)
        endpoint.failed(sent[0], 0.0, errors.RateLimited("full", status=429, retry_after=4.0))
        for second in range(40):
            clock[0] = second / 10
            router.freed()
            await asyncio.sleep(0)
            assert sum(task.done() for task in waiting) == len(sent)
        clock[0] = 4.0
        router.freed()
        await asyncio.sleep(0)
        assert sum(task.done() for task in waiting) == len(sent) + 1, "the place that the refused call left"
        for task in waiting:
            task.cancel()

    asyncio.run(go())


def test_two_endpoints_that_both_ask_for_time_are_both_given_it() -> None:
    settings = refusing(1.0, 0.5)
    with chaos_endpoint(settings) as one, chaos_endpoint(settings) as two:
        row = ask_one(quick(one.url, two.url, max_attempts=3))
        assert (row.status, row.attempts) == ("ok", 3)
        assert max(one.server.record.tries.total(), two.server.record.tries.total()) == 2


def test_a_refusal_of_single_requests_leaves_no_endpoint_idle() -> None:
    rest = Rest(longest=300.0)
    before, refused, after = (rest.sent() for _ in range(3))
    rest.refused(refused, now=1.1, retry_after=60.0)
    rest.answered(before, now=1.2)
    assert rest.on(1.2), "that call was let in before the door was closed"
    rest.answered(after, now=1.3)
    assert not rest.on(1.3), "that one was let in after"
    burst = [rest.sent() for _ in range(64)]
    for number in burst[::5]:
        rest.refused(number, now=2.0, retry_after=60.0)
    assert not rest.on(2.0), "most of what was sent is being worked on"
    rest.answered(burst[-2], now=2.1)
    for _ in range(5):
        rest.refused(rest.sent(), now=3.0, retry_after=60.0)
    assert rest.on(3.0), "all are refused now"


def test_an_endpoint_that_rests_is_not_asked_for_longer_than_the_patience_of_the_job() -> None:
    rest = Rest(longest=300.0)
    rest.refused(rest.sent(), now=0.0, retry_after=1e9)
    assert rest.until == 300.0
