"""Dialogues stay at one endpoint; those that fail are left and come back; none idles while another has a queue."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from llm_asking import ask, quick, request

from l2a.llm import errors
from l2a.llm.chaos.plan import ChaosSettings, Mode
from l2a.llm.chaos.running import RunningChaos, chaos_endpoint
from l2a.llm.endpoint import Endpoint, State, Try
from l2a.llm.request import ChatRequest
from l2a.llm.router import Router
from l2a.llm.sync import answer_batches

REFUSED = errors.ConnectionFailed("refused")


def dialogues(count: int, turns: int = 10) -> Iterator[ChatRequest]:
    """Requests in the order of dialogue and turn."""
    for number in range(count):
        for turn in range(turns):
            yield request(f"{number} {turn}", session_id=f"s-{number}", turn=turn)


@pytest.fixture
def three() -> Iterator[list[RunningChaos]]:
    """Three endpoints of 200 calls a second each."""
    with ExitStack() as stack:
        yield [stack.enter_context(chaos_endpoint(ChaosSettings(calls_per_second=200))) for _ in range(3)]


def served_total(endpoints: list[RunningChaos]) -> Counter[str]:
    """How often each request was served, over all endpoints."""
    return sum((endpoint.server.record.served for endpoint in endpoints), Counter[str]())


def test_dialogues_stay_together_and_the_load_is_shared(three: list[RunningChaos]) -> None:
    rows = ask(dialogues(150), quick(*(endpoint.url for endpoint in three)))
    by_address = {made.request_id: made.session_id for made in dialogues(150)}
    homes = defaultdict(set)
    for row in rows:
        homes[by_address[row.request_id]].add(row.endpoint)
    assert sum(len(seen) == 1 for seen in homes.values()) >= 0.85 * 150
    assert min(endpoint.server.record.served.total() for endpoint in three) >= 0.2 * 1500


@pytest.mark.parametrize("mode", [Mode.DOWN, Mode.HANG, Mode.OVERLOADED, Mode.SLOW])
def test_an_endpoint_that_goes_bad_is_left_and_used_again_later(three: list[RunningChaos], mode: Mode) -> None:
    bad, done, after_return = three[1], 0, 0
    settings = quick(*(endpoint.url for endpoint in three), stall_seconds=0.5, flush_seconds=0.1, backoff_seconds=0.1)
    if mode is Mode.SLOW:  # a slow answer that nobody waits for any more was served all the same
        settings = settings.model_copy(update={"try_timeout_seconds": 60.0})
    for batch in answer_batches(dialogues(100_000), settings):
        assert all(row.ok for row in batch)
        before, done = done, done + len(batch)
        if before < 400 <= done:
            bad.switch(mode)
        if before < 1200 <= done:
            bad.switch(Mode.NORMAL)
            after_return = bad.server.record.served.total()
        if after_return and bad.server.record.served.total() > after_return + 100:
            break
    assert max(served_total(three).values()) == 1


def test_an_endpoint_that_dies_and_is_started_again_is_used_again() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rows = []

    def endpoint_life() -> None:
        for _ in range(2):
            with chaos_endpoint(ChaosSettings(calls_per_second=300), port=port):
                time.sleep(1.0)
            time.sleep(1.0)
        with chaos_endpoint(port=port):
            finished.wait(30)

    finished = threading.Event()
    life = threading.Thread(target=endpoint_life)
    life.start()
    rows = ask(dialogues(100), quick(f"http://127.0.0.1:{port}", endpoint_wait_seconds=20, max_attempts=20))
    finished.set()
    life.join()
    assert Counter(row.status for row in rows) == {"ok": 1000}


# Without a network: a clock that the test moves.


def bench(count: int = 3, ceiling: int = 100, **changes: object) -> tuple[list[Endpoint], Router, list[float]]:
    clock = [0.0]
    settings = quick(**changes)
    endpoints = [Endpoint(f"http://e{number}/v1", settings, ceiling) for number in range(count)]
    return endpoints, Router(endpoints, ceiling, lambda: clock[0]), clock


def take_all(router: Router, keys: list[str]) -> list[Try]:
    """The tries that can start now."""

    async def go() -> list[Try]:
        tasks = [asyncio.create_task(router.take(key)) for key in keys]
        await asyncio.sleep(0)
        started = [task.result() for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        return started

    return asyncio.run(go())


def test_the_same_dialogue_has_the_same_home_in_every_process() -> None:
    homes = [{key: take_all(bench()[1], [key])[0].endpoint.url for key in map(str, range(50))} for _ in range(2)]
    assert homes[0] == homes[1]
    assert len(set(homes[0].values())) == 3


def test_one_dialogue_alone_still_fills_all_endpoints() -> None:
    endpoints, router, _ = bench()
    assert len(take_all(router, ["one"] * 50)) == 24
    assert [len(endpoint.tries) for endpoint in endpoints] == [8, 8, 8]


def test_the_ceiling_holds_over_all_endpoints() -> None:
    _, router, _ = bench(ceiling=10)
    assert len(take_all(router, list(map(str, range(50))))) == 10


def test_a_task_of_one_call_does_not_wait_with_it_for_an_endpoint_on_trial() -> None:
    (silent, *others), router, clock = bench(ceiling=1)
    silent.leave(0.0, "it hangs")
    clock[0] = silent.retry_at
    silent.tick(clock[0], 0.25, others)
    assert silent.state is State.ON_TRIAL
    assert len(take_all(router, ["a", "b", "c"])) == 2
    assert len(silent.tries) == 1 and sum(len(one.tries) for one in others) == 1


def fail(endpoint: Endpoint, times: int, now: float, error: errors.TransientError = REFUSED) -> None:
    for _ in range(times):
        endpoint.failed(endpoint.start(now), now, error)


def test_left_after_failures_in_a_row_tried_again_later_and_back_after_an_answer() -> None:
    (endpoint, *_), _, _ = bench(probe_seconds=1.0, probe_max_seconds=8.0)
    fail(endpoint, 30, now=0.0)
    assert endpoint.state is State.LEFT
    assert endpoint.free(0.5) == 0
    endpoint.tick(0.9, 0.25, [])
    assert endpoint.state is State.LEFT
    endpoint.tick(1.0, 0.25, [])
    assert endpoint.free(1.0) == 1
    trial = endpoint.start(1.0)
    assert endpoint.free(1.0) == 0
    endpoint.failed(trial, 1.1, REFUSED)
    endpoint.tick(3.0, 0.25, [])
    assert endpoint.state is State.LEFT, "the second wait is twice as long"
    endpoint.tick(3.2, 0.25, [])
    endpoint.answered(endpoint.start(3.2), 3.3)
    assert endpoint.state is State.IN_USE


def test_an_answer_in_between_keeps_an_endpoint_in_use() -> None:
    (endpoint, *_), _, _ = bench()
    for second in range(20):
        fail(endpoint, 9, now=float(second))
        endpoint.answered(endpoint.start(second), second + 0.1)
    assert endpoint.state is State.IN_USE


def test_retry_after_lengthens_the_wait_but_not_beyond_the_patience_of_the_job() -> None:
    for asked, waits in ((30.0, 30.0), (1e9, 300.0)):
        (endpoint, *_), _, _ = bench()
        fail(endpoint, 30, now=0.0, error=errors.Overloaded("full", status=503, retry_after=asked))
        assert endpoint.retry_at == waits


def test_silence_means_hung_only_when_more_than_one_call_is_unanswered() -> None:
    for calls, hung in ((1, False), (3, True)):
        (endpoint, *_), _, _ = bench(stall_seconds=5.0)
        endpoint.answered(endpoint.start(0.0), 0.1)
        for _ in range(calls):
            endpoint.start(1.0)
        assert any(endpoint.tick(1.0 + tick / 4, 0.25, []) for tick in range(40)) is hung


def test_slow_for_all_is_not_slow_for_one() -> None:
    for others_slow in (False, True):
        (endpoint, *others), _, _ = bench()
        now = 0.0
        for seconds, seconds_of_others in ((0.5, 0.5), (5.0, 5.0 if others_slow else 0.5)):
            for _ in range(100):
                endpoint.answered(endpoint.start(now), now + seconds)
                for other in others:
                    other.answered(other.start(now), now + seconds_of_others)
                now += 0.25
                endpoint.tick(now, 0.25, others)
        assert endpoint.state is (State.IN_USE if others_slow else State.LEFT)


def test_waiting_requests_of_a_left_endpoint_move_on() -> None:
    endpoints, router, clock = bench(count=2)

    async def go() -> None:
        tasks = [asyncio.create_task(router.take(str(number))) for number in range(40)]
        await asyncio.sleep(0)
        bad, good = endpoints
        for call in list(bad.tries):
            bad.failed(call, clock[0], REFUSED)
        fail(bad, 30, clock[0])
        router.freed()
        while any(not task.done() for task in tasks):
            for call in list(good.tries):
                good.answered(call, clock[0] + 0.1)
            clock[0] += 0.1
            router.freed()
            await asyncio.sleep(0)
        assert not bad.tries

    asyncio.run(go())


def test_settings_of_endpoints_survive_json() -> None:
    settings = quick("http://a:1/v1")
    assert type(settings).model_validate(json.loads(settings.model_dump_json())) == settings
