"""One row per request, whatever happens; nobody is asked twice; nobody waits for the slow."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from llm_asking import SCHEMA, ask, quick, request

from l2a.llm import errors
from l2a.llm.answer import AnswerRow
from l2a.llm.chaos.plan import ChaosSettings, Fault
from l2a.llm.chaos.running import chaos_endpoint
from l2a.llm.engine import Engine
from l2a.llm.progress import Progress
from l2a.llm.request import ChatRequest
from l2a.llm.sync import answer_batches
from l2a.settings.llm import ModelPrice


def many(count: int, schema: dict[str, object] | None = None) -> Iterator[ChatRequest]:
    """Requests of dialogues of ten turns."""
    for number in range(count):
        yield request(f"问题 {number}", response_schema=schema, session_id=f"s-{number // 10}", turn=number % 10)


def test_two_thousand_requests_with_thirty_percent_errors_end_ok_with_one_row_each_and_none_asked_twice() -> None:
    faults = {
        Fault.RATE_LIMIT: 0.06, Fault.SERVER_ERROR: 0.06, Fault.OVERLOADED: 0.06, Fault.DROP: 0.06,
        Fault.CUT: 0.03, Fault.SLOW_BODY: 0.02, Fault.HANG: 0.01, Fault.BROKEN_JSON: 0.02,
    }  # fmt: skip
    chaos_settings = ChaosSettings(faults=faults, slow_seconds=0.2, retry_after_seconds=0.1)
    with chaos_endpoint(chaos_settings) as chaos:
        rows = ask(many(2000, SCHEMA), quick(chaos.url, try_timeout_seconds=2))
        assert Counter((row.status, row.error) for row in rows) == {("ok", None): 2000}
        assert {row.request_id for row in rows} == {made.request_id for made in many(2000, SCHEMA)}
        assert chaos.server.record.summary()["served_twice"] == []
        assert sum(row.attempts for row in rows) == chaos.server.record.tries.total() > 2000


def test_slow_requests_do_not_hold_back_the_others() -> None:
    # One call in flight would be enough to answer the rest, but the hanging ones take most places.
    with chaos_endpoint(ChaosSettings(faults={Fault.HANG: 0.03}, fault_tries=1)) as chaos:
        settings = quick(chaos.url, max_in_flight=16, first_in_flight=16, try_timeout_seconds=6, stall_seconds=100)
        order = [row.attempts for row in ask(many(300), settings)]
        assert len(order) == 300
        assert max(order) == 2
        assert set(order[:250]) == {1}


def test_finished_answers_are_handed_over_while_others_are_under_way() -> None:
    with chaos_endpoint(ChaosSettings(calls_per_second=100)) as chaos:
        batches = list(answer_batches(many(200), quick(chaos.url, flush_seconds=0.2)))
        assert len(batches) >= 4
        assert sum(map(len, batches)) == 200


def test_requests_are_read_as_there_is_room_and_no_faster() -> None:
    read = 0

    def source() -> Iterator[ChatRequest]:
        nonlocal read
        for made in many(5000):
            read += 1
            yield made

    with chaos_endpoint() as chaos:
        settings = quick(chaos.url, max_in_flight=8, flush_rows=50)
        done = 0
        for rows in answer_batches(source(), settings):
            done += len(rows)
            assert read <= done + 4 * 8 + 64 + 64 + 3 * 50
            if done > 1000:
                break


def test_a_caller_who_stops_listening_ends_the_calls() -> None:
    with chaos_endpoint(ChaosSettings(latency_seconds=0.05)) as chaos:
        batches = answer_batches(many(100_000), quick(chaos.url, flush_rows=10))
        next(batches)
        batches.close()  # type: ignore[attr-defined]
        assert not [thread for thread in threading.enumerate() if thread.name == "l2a-llm"]
        assert chaos.server.record.tries.total() < 1000


def test_an_error_of_the_source_arrives_after_what_was_finished() -> None:
    def source() -> Iterator[ChatRequest]:
        yield from many(100)
        raise OSError("the input broke")

    rows: list[AnswerRow] = []
    with chaos_endpoint() as chaos:
        with pytest.raises(OSError, match="the input broke"):  # noqa: PT012
            for batch in answer_batches(source(), quick(chaos.url)):
                rows += batch
        assert {row.request_id for row in rows} == set(chaos.server.record.served)


def test_a_spending_limit_stops_cleanly_and_keeps_what_was_paid() -> None:
    rows: list[AnswerRow] = []
    with chaos_endpoint(ChaosSettings(latency_seconds=0.02)) as chaos:
        prices = {"chaos": ModelPrice(prompt=1e6, cached=0.5e6, completion=2e6)}
        settings = quick(chaos.url, prices=prices, spending_limit=20_000.0, flush_rows=20)
        engine = Engine(settings)
        with pytest.raises(errors.SpendingLimitReached):  # noqa: PT012
            for batch in answer_batches(many(5000), settings, engine=engine):
                rows += batch
        assert {row.request_id for row in rows} == set(chaos.server.record.served)
        paid = sum(prices["chaos"].cost(row.prompt_tokens, row.cached_tokens, row.completion_tokens) for row in rows)
        assert paid == pytest.approx(engine.progress.cost)
        assert 0.5 * 20_000 < paid <= 1.1 * 20_000


def test_the_caller_can_stop_all_tasks() -> None:
    rows: list[AnswerRow] = []
    with chaos_endpoint(ChaosSettings(calls_per_second=200)) as chaos:
        settings = quick(chaos.url)
        why = errors.StoppedByCaller("another task met a wrong key")
        engine = Engine(settings, stop_check=lambda: why if rows else None)
        with pytest.raises(errors.StoppedByCaller):  # noqa: PT012
            for batch in answer_batches(many(100_000), settings, engine=engine):
                rows += batch
        assert {row.request_id for row in rows} == set(chaos.server.record.served)


def test_tokens_are_counted_per_row_and_cached_ones_apart() -> None:
    history = [{"role": "user", "content": "the same long beginning " * 40}]
    requests = [
        request(messages=[*history, {"role": "user", "content": str(turn)}], session_id="s", turn=turn)
        for turn in range(5)
    ]
    with chaos_endpoint() as chaos:
        rows = ask(requests, quick(chaos.url, max_in_flight=1))
        assert rows[0].cached_tokens == 0
        assert all(row.cached_tokens > 0.9 * row.prompt_tokens for row in rows[1:])
        assert sum(row.prompt_tokens for row in rows) == chaos.server.record.prompt_tokens


def test_several_tasks_share_the_ceiling() -> None:
    with chaos_endpoint(ChaosSettings(latency_seconds=0.05)) as chaos:
        settings = quick(chaos.url, max_in_flight=16, first_in_flight=16)
        threads = [
            threading.Thread(
                target=lambda part=part: list(  # type: ignore[misc]
                    answer_batches(list(many(400))[part::4], settings, tasks=4)
                )
            )
            for part in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert chaos.server.record.served.total() == 400
        assert chaos.server.capacity.most_at_once <= 16


def test_asynchronous_callers_get_the_same() -> None:
    async def collect(url: str) -> list[AnswerRow]:
        return [row async for rows in Engine(quick(url)).answers(many(100)) for row in rows]

    with chaos_endpoint() as chaos:
        assert len({row.request_id for row in asyncio.run(collect(chaos.url))}) == 100


def test_no_requests_no_batches() -> None:
    assert list(answer_batches([], quick("http://127.0.0.1:9"))) == []


def test_progress_adds_up_over_tasks_and_reads_as_a_line() -> None:
    one = Progress(taken=10, ok=8, failed=1, in_flight=1, prompt_tokens=100, cached_tokens=50)
    one.failed_by_class["TooLong"] += 1
    both = one + one
    assert (both.done, both.failed_by_class) == (18, {"TooLong": 2})
    assert both.line(seconds=6, total=36) == (
        "18 of 36 done | 3.0/s | 2 in flight | cache 50% | 33 tokens/s | failed 2 TooLong | 0:00:06 left"
    )
