"""A spending limit holds whatever the endpoint tells about tokens."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from llm_asking import quick, request

from l2a.errors import UsageError
from l2a.llm import errors
from l2a.llm.answer import AnswerRow
from l2a.llm.chaos.plan import ChaosSettings, Fault
from l2a.llm.chaos.running import chaos_endpoint
from l2a.llm.engine import Engine
from l2a.llm.sync import Asker, answer_batches
from l2a.settings import EvaluateSettings
from l2a.settings.llm import ModelPrice

ONE_A_TOKEN = {"chaos": ModelPrice(prompt=1e6, completion=1e6)}


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": "many", "completion_tokens": None}, {"prompt_tokens": 0, "completion_tokens": 0}],
)
def test_without_usage_the_limit_goes_by_an_estimate_and_says_so_once(
    usage: dict[str, Any] | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    rows: list[AnswerRow] = []
    body = {"choices": [{"message": {"content": "a" * 40}}], **({} if usage is None else {"usage": usage})}
    with chaos_endpoint(ChaosSettings(faults={Fault.HOSTILE: 1.0})) as chaos:
        chaos.server._hostile = {"": (json.dumps(body).encode(), {})}
        settings = quick(chaos.url, prices=ONE_A_TOKEN, spending_limit=1_000.0, flush_rows=10)
        engine = Engine(settings)
        # 60 bytes asked and 40 answered are 25 tokens: the limit allows 40 of these calls.
        with pytest.raises(errors.SpendingLimitReached):  # noqa: PT012
            for batch in answer_batches((request(f"{number:060}") for number in range(500)), settings, engine=engine):
                rows += batch
    # What was in flight before the first answer told a price comes on top.
    assert 20 <= len(rows) <= 40 + settings.max_in_flight
    assert engine.progress.cost == 25 * len(rows)
    assert {(row.prompt_tokens, row.completion_tokens) for row in rows} == {(0, 0)}, "an estimate is no count"
    assert sum("no token usage" in record.message for record in caplog.records) == 1


def test_what_an_endpoint_tells_is_paid_as_told() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    with chaos_endpoint(ChaosSettings(faults={Fault.HOSTILE: 1.0})) as chaos:
        body = {"choices": [{"message": {"content": "a" * 400}}], "usage": usage}
        chaos.server._hostile = {"": (json.dumps(body).encode(), {})}
        engine = Engine(settings := quick(chaos.url, prices=ONE_A_TOKEN))
        assert sum(map(len, answer_batches([request("x" * 400)], settings, engine=engine))) == 1
    assert engine.progress.cost == 9


def test_askings_of_one_job_share_its_limit() -> None:
    usage = {"prompt_tokens": 2, "completion_tokens": 1}
    with chaos_endpoint(ChaosSettings(faults={Fault.HOSTILE: 1.0})) as chaos:
        body = {"choices": [{"message": {"content": "a"}}], "usage": usage}
        chaos.server._hostile = {"": (json.dumps(body).encode(), {})}
        asker = Asker(quick(chaos.url, prices=ONE_A_TOKEN, spending_limit=10.0))
        for number in range(3):
            assert len([row for rows in asker.batches([request(f"{number}")]) for row in rows]) == 1
        with pytest.raises(errors.SpendingLimitReached, match=r"12\.0000 of 10\.0000"):
            list(asker.batches([request("one more")]))


def test_processes_of_one_job_share_its_limit() -> None:
    usage = {"prompt_tokens": 2, "completion_tokens": 1}
    with chaos_endpoint(ChaosSettings(faults={Fault.HOSTILE: 1.0})) as chaos:
        body = {"choices": [{"message": {"content": "a"}}], "usage": usage}
        chaos.server._hostile = {"": (json.dumps(body).encode(), {})}
        settings = quick(chaos.url, prices=ONE_A_TOKEN, spending_limit=10.0)
        for number in range(2):
            asker = Asker(settings, tasks=2, number=number)
            assert len([row for rows in asker.batches([request(f"{number}")]) for row in rows]) == 1
            with pytest.raises(errors.SpendingLimitReached, match=r"6\.0000 of 5\.0000"):
                list(asker.batches([request("one more")]))


def test_a_limit_wants_the_price_of_the_policy_that_is_asked() -> None:
    from spark_jobs.llm_policy import llm_policy

    settings = quick("http://127.0.0.1:9", prices=ONE_A_TOKEN, spending_limit=10.0)
    with pytest.raises(UsageError, match=r'no price for grpo, which is asked here\. Add it: \[llm\.prices\."grpo"\]'):
        llm_policy(EvaluateSettings(), settings.model_copy(update={"model": "grpo"}), greedy=False)
    assert llm_policy(EvaluateSettings(), settings, greedy=False).model == "chaos"
