"""Each way in which a call can go wrong, end to end: the row says which, and only what may pass is tried again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_asking import SCHEMA, ask, ask_one, quick, request

from l2a.errors import UsageError
from l2a.llm import errors
from l2a.llm.chaos.plan import ChaosSettings, Fault, Mode
from l2a.llm.chaos.running import chaos_endpoint
from l2a.llm.classify import error_of, seconds_to_wait
from l2a.llm.sync import answer_batches


@pytest.mark.parametrize(
    "fault",
    [
        Fault.RATE_LIMIT, Fault.SERVER_ERROR, Fault.OVERLOADED, Fault.HANG, Fault.DROP, Fault.CUT, Fault.SLOW_BODY,
        Fault.BROKEN_JSON,
    ],
)  # fmt: skip
def test_what_passes_ends_ok_and_is_served_once(fault: Fault) -> None:
    with chaos_endpoint(ChaosSettings(faults={fault: 1.0}, slow_seconds=0.2, retry_after_seconds=0.1)) as chaos:
        row = ask_one(quick(chaos.url, try_timeout_seconds=0.7), response_schema=SCHEMA)
        assert (row.status, row.error, row.parsed) == ("ok", None, '{"value":"hello"}')
        assert row.attempts == chaos.server.record.tries.total() > (0 if fault is Fault.SLOW_BODY else 1)
        assert chaos.server.record.served == {row.request_id: 1}


@pytest.mark.parametrize(
    ("fault", "name", "status"),
    [
        (Fault.RATE_LIMIT, "RateLimited", 429),
        (Fault.SERVER_ERROR, "ServerError", 500),
        (Fault.OVERLOADED, "Overloaded", 503),
        (Fault.HANG, "TimedOut", None),
        (Fault.DROP, "ConnectionFailed", None),
        (Fault.CUT, "ConnectionFailed", None),
    ],
)
def test_what_does_not_pass_in_time_is_a_failed_row(fault: Fault, name: str, status: int | None) -> None:
    with chaos_endpoint(ChaosSettings(faults={fault: 1.0}, fault_tries=1000, retry_after_seconds=0)) as chaos:
        row = ask_one(quick(chaos.url, max_attempts=2, try_timeout_seconds=0.3), sample=3)
        assert (row.status, row.error_class, row.last_status, row.attempts) == ("failed", name, status, 2)
        assert row.text is None
        assert row.error


@pytest.mark.parametrize(
    ("fault", "name", "tries"),
    [
        (Fault.TOO_LONG, "TooLong", 1),
        (Fault.BAD_REQUEST, "BadRequest", 1),
        (Fault.REFUSAL, "Refused", 1),
        (Fault.EMPTY, "EmptyAnswer", 1),
        (Fault.WRONG_SCHEMA, "Unparseable", 2),
    ],
)
def test_what_stays_is_not_asked_again_but_for_the_unparseable(fault: Fault, name: str, tries: int) -> None:
    with chaos_endpoint(ChaosSettings(faults={fault: 1.0})) as chaos:
        row = ask_one(quick(chaos.url), response_schema=SCHEMA)
        assert (row.status, row.error_class, row.attempts, row.parsed) == ("failed", name, tries, None)
        assert (row.text is not None) == (fault is Fault.WRONG_SCHEMA), "raw text is kept beside the error"


def test_a_prompt_beyond_the_context_is_too_long() -> None:
    with chaos_endpoint(ChaosSettings(max_model_len=10)) as chaos:
        assert ask_one(quick(chaos.url), text="long " * 50).error_class == "TooLong"


@pytest.mark.parametrize(
    ("mode", "kind"), [(Mode.WRONG_KEY, errors.WrongKey), (Mode.UNKNOWN_MODEL, errors.UnknownModel)]
)
def test_a_wrong_key_or_model_stops_the_job_at_once_and_keeps_what_is_finished(
    mode: Mode, kind: type[errors.JobStopped]
) -> None:
    rows = []
    with chaos_endpoint() as chaos:

        def requests():  # type: ignore[no-untyped-def]
            for number in range(100_000):
                if len(rows) >= 50:
                    chaos.switch(mode)
                yield request(str(number))

        with pytest.raises(kind):  # noqa: PT012
            for batch in answer_batches(requests(), quick(chaos.url, flush_rows=50)):
                rows += batch
        assert len(rows) >= 50
        assert all(row.ok for row in rows)
        assert {row.request_id for row in rows} == set(chaos.server.record.served)
        assert chaos.server.record.tries.total() < 10_000


def test_no_endpoint_left_stops_the_job_with_one_error() -> None:
    with pytest.raises(errors.NoEndpointLeft, match=r"127\.0\.0\.1:9"):
        ask([request()], quick("http://127.0.0.1:9", endpoint_wait_seconds=0.5, breaker_failures=2, max_attempts=500))


def test_no_endpoint_at_all_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="--endpoint"):
        ask([request()], quick())


SAID = b'{"error": {"message": "%s", "code": "%s"}}'


@pytest.mark.parametrize(
    ("status", "message", "code", "kind"),
    [
        (400, b"This model's maximum context length is 1024 tokens. You requested 1100", b"400", errors.TooLong),
        (400, b"x", b"context_length_exceeded", errors.TooLong),
        (413, b"", b"", errors.TooLong),
        (400, b"The response was filtered", b"content_filter", errors.Refused),
        (403, b"Your input was flagged by moderation", b"", errors.Refused),
        (403, b"forbidden", b"", errors.WrongKey),
        (400, b"API key not valid", b"", errors.WrongKey),
        (400, b"The model `m` does not exist", b"", errors.UnknownModel),
        (402, b"", b"", errors.QuotaExhausted),
        (429, b"You exceeded your current quota", b"insufficient_quota", errors.QuotaExhausted),
        (429, b"slow down", b"rate_limit_exceeded", errors.RateLimited),
        (307, b"", b"", errors.WrongAddress),
        (405, b"", b"", errors.WrongAddress),
        (408, b"", b"", errors.TimedOut),
        *((status, b"", b"", errors.TimedOut) for status in (409, 423, 424, 425, 499)),
        (422, b"unknown field", b"", errors.BadRequest),
        (418, b"", b"", errors.BadRequest),
        (529, b"", b"", errors.Overloaded),
        (507, b"", b"", errors.ServerError),
    ],
)
def test_statuses_and_words_are_told_apart(status: int, message: bytes, code: bytes, kind: type) -> None:
    error = error_of(status, SAID % (message, code), endpoint="http://e/v1", model="m")
    assert type(error) is kind
    assert "http://e/v1" in str(error)


@given(st.integers(100, 999).filter(lambda status: status != 200), st.binary(max_size=200))
def test_any_response_has_a_place_in_the_tree(status: int, body: bytes) -> None:
    error = error_of(status, body, endpoint="http://e/v1", model="m", retry_after=body.decode("latin-1"))
    assert isinstance(error, (errors.CallError, errors.JobStopped))


def test_retry_after_is_read_in_both_its_forms() -> None:
    now = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    assert seconds_to_wait("7") == 7
    assert seconds_to_wait("0.5") == 0.5
    assert seconds_to_wait("Sat, 21 Nov 2026 09:30:20 GMT", now) == 20
    assert seconds_to_wait("Sat, 21 Nov 2026 09:29:00 GMT", now) == 0
    assert [seconds_to_wait(word) for word in (None, "", "soon", "nan", "inf", "-3")] == [None] * 5 + [0]


def test_retry_after_is_waited_for() -> None:
    with chaos_endpoint(ChaosSettings(faults={Fault.RATE_LIMIT: 1.0}, fault_tries=1, retry_after_seconds=1.0)) as chaos:
        row = ask_one(quick(chaos.url, backoff_seconds=0.001, total_timeout_seconds=0.9))
        # The wait that was asked for does not fit in the request's time: it fails rather than coming back too early.
        assert (row.error_class, row.attempts) == ("RateLimited", 1)
        assert ask_one(quick(chaos.url, backoff_seconds=0.001)).ok
