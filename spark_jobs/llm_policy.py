"""A policy behind an endpoint: from turns to requests, and from answers back to rollouts."""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from l2a.errors import UsageError
from l2a.llm.prompts import VERSION
from l2a.llm.prompts.rollout import rollout_request
from l2a.llm.prompts.tokens import policy_prompt
from l2a.llm.request import ChatRequest
from l2a.llm.versions import resolve_endpoints
from l2a.settings import EvaluateSettings
from l2a.settings.llm import LLMSettings
from l2a.tables.warehouse import Warehouse
from spark_jobs.calls import Paid
from spark_jobs.judging import messages_of
from spark_jobs.requesting import answered

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KEY = ["session_id", "turn", "dialogue_version", "sample"]


@dataclass(frozen=True)
class Reads:
    """What a trained policy was trained to read, so that it is asked the same behind an endpoint as in process."""

    tokenizer: tuple[tuple[str, bytes], ...]
    """File names and contents."""
    max_length: int | None
    stop_rule: bool


@dataclass(frozen=True)
class LLMPolicy:
    """Which model answers, and how it samples."""

    llm: LLMSettings
    model: str
    model_version: str
    samples: int
    temperature: float
    max_tokens: int
    reads: Reads | None = None
    """None: nobody knows its tokenizer, so the whole context is sent."""

    def address(self) -> tuple[object, ...]:
        """All that the rollouts depend on beside the turns."""
        known = () if self.reads is None else (self.reads.max_length, self.reads.stop_rule)
        return (self.model, self.model_version, VERSION, self.samples, self.temperature, self.max_tokens, *known)


def llm_policy(settings: EvaluateSettings, llm: LLMSettings, *, greedy: bool) -> LLMPolicy:
    """The policy of these settings, at the endpoints that serve it.

    Raises what `resolve_endpoints` raises, and `UsageError` for a spending limit that no price makes mean anything.
    """
    if llm.limit_without_price:
        raise UsageError(
            f"[llm] spending_limit: there is no price for {llm.model}, which is asked here. Add it: "
            f"[llm.prices.{json.dumps(llm.model, ensure_ascii=False)}]"
        )
    version, endpoints = resolve_endpoints(llm)
    assert llm.model is not None, "resolve_endpoints refuses settings without a model"
    return LLMPolicy(
        llm.model_copy(update={"endpoints": endpoints}),
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
    context = messages_of(row["context"])
    request = rollout_request(
        context,
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
    if model.reads is None:
        return request
    prompt = policy_prompt(
        _tokenizer(model.reads.tokenizer),
        context,
        goal=row["goal"],
        domain=row["domain"],
        stop_rule=model.reads.stop_rule,
        limit=model.reads.max_length,
    )
    return dataclasses.replace(request, messages=prompt.messages)


@functools.lru_cache(maxsize=2)
def _tokenizer(files: tuple[tuple[str, bytes], ...]) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        for name, content in files:
            (Path(folder) / name).write_bytes(content)
        return AutoTokenizer.from_pretrained(folder)


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
