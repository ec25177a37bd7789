"""A hundred thousand requests to an endpoint that fails in every way: one row each, nothing paid twice."""

from __future__ import annotations

from collections import Counter

import pytest
from llm_asking import quick
from llm_requests import requests

from l2a.llm.chaos.plan import ChaosSettings, Fault, fault_of
from l2a.llm.chaos.running import chaos_endpoint
from l2a.tables.contracts import LLM_CALLS
from l2a.tables.warehouse import Warehouse
from spark_jobs.calls import answer

STAYING = {
    Fault.WRONG_SCHEMA: "Unparseable",
    Fault.TOO_LONG: "TooLong",
    Fault.BAD_REQUEST: "BadRequest",
    Fault.REFUSAL: "Refused",
    Fault.EMPTY: "EmptyAnswer",
}
TRANSIENT = {
    Fault.RATE_LIMIT: 0.10, Fault.SERVER_ERROR: 0.06, Fault.OVERLOADED: 0.06, Fault.DROP: 0.04, Fault.CUT: 0.03,
    Fault.HANG: 0.001, Fault.SLOW_BODY: 0.01,
}  # fmt: skip


@pytest.mark.parametrize(
    "count",
    [pytest.param(3_000, marks=pytest.mark.slow), pytest.param(100_000, marks=pytest.mark.prove)],
)
def test_every_request_has_one_row_and_none_that_was_answered_is_asked_again(warehouse: Warehouse, count: int) -> None:
    faults = TRANSIENT | {Fault.BROKEN_JSON: 0.02, **dict.fromkeys(STAYING, 0.002)}
    settings = ChaosSettings(faults=faults, slow_seconds=0.2)
    asked = requests(warehouse.spark, count)
    with chaos_endpoint(settings) as chaos:
        paid = answer(warehouse, asked, quick(chaos.url, flush_seconds=2.0))
        record = chaos.server.record
        assert paid.rows == paid.asked == count == len(record.tries)
        assert record.summary()["served_twice"] == []

        rows = warehouse.read(LLM_CALLS).select("request_id", "status", "error_class").collect()
        assert len(rows) == len({row["request_id"] for row in rows}) == count
        met = (fault_of(settings, row["request_id"], 0) for row in rows)
        expected = Counter(None if fault is None else STAYING.get(fault) for fault in met)
        assert Counter(row["error_class"] for row in rows) == expected

        tries = record.tries.total()
        again = answer(warehouse, asked, quick(chaos.url, max_runs=1))
        assert (again.asked, again.rows) == (0, count)
        assert record.tries.total() == tries
