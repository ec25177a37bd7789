"""200 is not yet an answer: an endpoint that sends rubbish loses its traffic, and no row fails for it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest
from llm_asking import SCHEMA, ask, ask_one, quick, request

from l2a.llm import errors
from l2a.llm.chaos.plan import ChaosSettings, Fault
from l2a.llm.chaos.running import RunningChaos, chaos_endpoint
from l2a.llm.endpoint import Endpoint
from l2a.llm.router import Router

RUBBISH = {
    "html": b"<html>maintenance</html>",
    "empty": b"",
    "no choices": b'{"choices": []}',
    "error": b'{"error": {"message": "model is loading", "code": 503}}',
}


def rubbish(stack: ExitStack, body: bytes) -> RunningChaos:
    """An endpoint that answers everything at once, with 200 and this body."""
    chaos = stack.enter_context(chaos_endpoint(ChaosSettings(faults={Fault.HOSTILE: 1.0})))
    chaos.server._hostile = {"": (body, {})}
    return chaos


@pytest.mark.parametrize("name", sorted(RUBBISH))
def test_an_endpoint_that_answers_rubbish_costs_no_row_and_is_left(name: str) -> None:
    with ExitStack() as stack:
        bad = rubbish(stack, RUBBISH[name])
        good = [stack.enter_context(chaos_endpoint(ChaosSettings(calls_per_second=200))) for _ in range(2)]
        requests = [request(str(number), session_id=str(number // 5)) for number in range(300)]
        rows = ask(requests, quick(bad.url, *(endpoint.url for endpoint in good), probe_seconds=5.0))
        assert Counter((row.status, row.error) for row in rows) == {("ok", None): 300}
        assert {row.endpoint for row in rows} == {endpoint.url for endpoint in good}
        assert bad.server.record.tries.total() <= 60


def test_the_row_of_a_request_that_brings_only_rubbish_says_so_and_keeps_it() -> None:
    with ExitStack() as stack:
        row = ask_one(quick(rubbish(stack, RUBBISH["html"]).url, max_attempts=3))
    assert (row.error_class, row.attempts, row.last_status) == ("MalformedResponse", 3, 200)
    assert row.text == RUBBISH["html"].decode()


def test_with_nothing_but_rubbish_the_job_stops() -> None:
    with ExitStack() as stack:
        settings = quick(rubbish(stack, RUBBISH["error"]).url, endpoint_wait_seconds=0.5, max_attempts=500)
        with pytest.raises(errors.NoEndpointLeft):
            ask([request(str(number)) for number in range(50)], settings)


@pytest.mark.parametrize("content", [None, ""])
def test_a_model_that_says_nothing_is_no_failure_of_its_endpoint(content: str | None) -> None:
    body = json.dumps({"choices": [{"message": {"content": content}}]}).encode()
    with ExitStack() as stack:
        row = ask_one(quick(rubbish(stack, body).url))
    assert (row.error_class, row.attempts) == ("EmptyAnswer", 1)


@pytest.mark.parametrize(("schema", "status"), [(None, "ok"), (SCHEMA, "failed")])
def test_a_policy_that_ends_at_once_has_said_nothing_as_it_would_in_process(schema: Any, status: str) -> None:
    body = json.dumps({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}).encode()
    with ExitStack() as stack:
        row = ask_one(quick(rubbish(stack, body).url), response_schema=schema)
    assert (row.status, row.text if row.ok else row.error_class) == (status, "" if status == "ok" else "EmptyAnswer")


def test_an_answer_that_cannot_be_parsed_is_asked_for_again_at_another_endpoint() -> None:
    with chaos_endpoint(responder=lambda body: "no JSON at all") as babbling, chaos_endpoint() as good:
        requests = [request(str(number), session_id=str(number), response_schema=SCHEMA) for number in range(40)]
        rows = ask(requests, quick(babbling.url, good.url))
        assert Counter((row.status, row.endpoint) for row in rows) == {("ok", good.url): 40}
        assert babbling.server.record.tries.total() > 0


def test_no_idle_endpoint_takes_over_a_request_that_avoids_it() -> None:
    settings = quick(first_in_flight=1)
    one, two = endpoints = [Endpoint(f"http://e{number}/v1", settings, 10) for number in range(2)]
    router = Router(endpoints, 10, lambda: 0.0)

    async def go() -> None:
        first = await router.take("a", avoid=[one])
        waiting = asyncio.create_task(router.take("a", avoid=[one]))
        await asyncio.sleep(0)
        assert (first.endpoint, waiting.done()) == (two, False), "its place is taken, and the other one is avoided"
        other = await router.take("b", avoid=[two])
        two.answered(first, 0.1)
        router.freed()
        assert (other.endpoint, (await waiting).endpoint) == (one, two)

    asyncio.run(go())
