"""A policy behind an endpoint: from turns to requests, and from answers back to rollouts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from l2a.llm.prompts import VERSION
from l2a.llm.prompts.rollout import rollout_request
from l2a.llm.request import ChatRequest
from l2a.llm.settings import LLMSettings
from l2a.llm.versions import resolve_model_version
from l2a.settings import EvaluateSettings
from l2a.tables.warehouse import Warehouse
from spark_jobs.calls import Paid
from spark_jobs.judging import messages_of
from spark_jobs.requesting import answered

KEY = ["session_id", "turn", "dialogue_version", "sample"]


@dataclass(frozen=True)
class LLMPolicy:
    """Which model answers, and how it samples."""

    llm: LLMSettings
    model: str
    model_version: str
    samples: int
    temperature: float
    max_tokens: int

    def address(self) -> tuple[object, ...]:
        """All that the rollouts depend on beside the turns."""
        return (self.model, self.model_version, VERSION, self.samples, self.temperature, self.max_tokens)


def llm_policy(settings: EvaluateSettings, llm: LLMSettings, *, greedy: bool) -> LLMPolicy:
    """The policy of these settings. Raises what `resolve_model_version` raises."""
    version = resolve_model_version(llm)
    assert llm.model is not None, "resolve_model_version refuses settings without a model"
    return LLMPolicy(
        llm,
        llm.model,
        version,
        samples=1 if greedy else settings.samples,
        temperature=0.0 if greedy else settings.temperature,
        max_tokens=settings.rollout_max_tokens,
    )


def policy_rows(model: LLMPolicy, turns: DataFrame) -> DataFrame:
    """One row per turn and sample, with the context that the policy sees."""
    samples = F.explode(F.sequence(F.lit(0), F.lit(model.samples - 1)))
    context = F.slice("messages", F.lit(1), F.col("context_end"))
    return turns.withColumn("context", context).select(*KEY[:3], samples.alias("sample"), "context", "domain", "goal")


def rollout_of(model: LLMPolicy, row: Mapping[str, Any]) -> ChatRequest:
    """The request of one of `policy_rows`."""
    return rollout_request(
        messages_of(row["context"]),
        model=model.model,
        model_version=model.model_version,
        sample=row["sample"],
        temperature=model.temperature,
        max_tokens=model.max_tokens,
        goal=row["goal"],
        domain=row["domain"],
        session_id=row["session_id"],
        turn=row["turn"],
    )


@contextmanager
def spoken(warehouse: Warehouse, model: LLMPolicy, turns: DataFrame) -> Iterator[tuple[DataFrame, Paid]]:
    """KEY, text and error (one of them null), model_version and request_id; what it took."""
    rows = policy_rows(model, turns)
    with answered(warehouse, rows, KEY, lambda row: rollout_of(model, row), model.llm) as (answers, paid):
        ok = F.col("call_error").isNull()
        yield (
            answers.select(
                *KEY,
                F.when(ok, F.col("text")).alias("text"),
                F.when(~ok, F.concat_ws(": ", F.lit("policy"), "call_error")).alias("error"),
                F.lit(model.model_version).alias("model_version"),
                "request_id",
            ),
            paid,
        )
