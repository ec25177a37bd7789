"""Extractor and grader that ask an LLM: from turns and rollouts to requests, and from answers back to rows.

A judge's name says all that its answers depend on: model, version, prompts. What it says is checked on arrival: a fact
that its message does not bear out is dropped and counted, never asked for again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.storagelevel import StorageLevel

from l2a.hindsight.objective import FACTS
from l2a.judge.protocols import Dialogue, Judgement, Question
from l2a.llm.prompts import extractor_name, grader_name
from l2a.llm.prompts.extraction import extraction_request, read_facts
from l2a.llm.prompts.grading import grading_request, read_judgement
from l2a.llm.request import ChatRequest
from l2a.llm.versions import resolve_model_version
from l2a.open_judge import check_llm_name, is_llm
from l2a.settings import JudgeSettings
from l2a.settings.llm import LLMSettings
from l2a.tables.warehouse import Warehouse
from spark_jobs.calls import Paid
from spark_jobs.judging import JUDGED, Batches, Kind, messages_of
from spark_jobs.requesting import answered


@dataclass(frozen=True)
class LLMJudge:
    """Which LLM judges, and how it is asked."""

    settings: JudgeSettings
    llm: LLMSettings
    model: str
    model_version: str

    @property
    def extractor(self) -> str:
        """As it stands in objectives.extractor."""
        form = f"{self.settings.extraction}-{self.settings.prompt_form}"
        return extractor_name(self.model, self.model_version, form)

    @property
    def grader(self) -> str:
        """As it stands in grades.grader."""
        return grader_name(self.model, self.model_version, self.settings.prompt_form)


def llm_judge(settings: JudgeSettings, llm: LLMSettings) -> LLMJudge:
    """The judge of these settings. Raises what `resolve_model_version` raises."""
    version = resolve_model_version(llm)
    assert llm.model is not None, "resolve_model_version refuses settings without a model"
    return LLMJudge(settings, llm, llm.model, version)


def wanted_llm_judge(settings: JudgeSettings, llm: LLMSettings, kind: Kind) -> LLMJudge | None:
    """The judge of these settings where they name an LLM as this kind of judge, by `llm` or by its full name.

    Raises `UsageError` where the full name is not what the settings make, and what `resolve_model_version` raises.
    """
    wanted: str = getattr(settings, kind)
    if not is_llm(wanted):
        return None
    judge = llm_judge(settings, llm)
    check_llm_name(wanted, getattr(judge, kind), kind)
    return judge


def extraction_rows(judge: LLMJudge, turns: DataFrame, dialogues: DataFrame) -> tuple[DataFrame, list[str]]:
    """The rows that need a call, and their key: dialogues, or turns in the published scheme.

    turns: usable ones; a final turn has nothing left to supply, so it needs no call.
    """
    asking = turns.where("NOT is_final")
    texts = dialogues.select("session_id", "dialogue_version", "domain", "goal", "messages")
    version = ["session_id", "dialogue_version"]
    if judge.settings.extraction == "dialogue":
        return texts.join(asking.select(*version).distinct(), version), version
    places = asking.select(*version, "turn", "context_end")
    return texts.join(places, version), ["session_id", "turn", "dialogue_version"]


def extraction_of(judge: LLMJudge, row: Mapping[str, Any]) -> ChatRequest:
    """The request of one of `extraction_rows`."""
    return extraction_request(
        Dialogue(messages_of(row["messages"]), row["domain"], row["goal"]),
        model=judge.model,
        model_version=judge.model_version,
        context_end=row.get("context_end"),
        form=judge.settings.prompt_form,
        session_id=row["session_id"],
        turn=row.get("turn", 0),
        max_tokens=judge.settings.extraction_max_tokens,
    )


@contextmanager
def extracted(
    warehouse: Warehouse, judge: LLMJudge, turns: DataFrame, dialogues: DataFrame
) -> Iterator[tuple[DataFrame, Paid]]:
    """Key of `extraction_rows`, facts and error (one of them null), facts_dropped, request_id; what it took."""
    rows, key = extraction_rows(judge, turns, dialogues)

    def read(batches: Batches) -> Batches:
        for batch in batches:
            found = []
            for row in batch.to_pylist():
                one = {name: row[name] for name in (*key, "request_id")}
                one |= {"facts": None, "facts_dropped": 0, "error": None}
                if row["call_error"] is not None:
                    one["error"] = f"extractor: {row['call_error']}"
                else:
                    said = read_facts(row["parsed"], messages_of(row["messages"]), row.get("context_end") or 0)
                    one["facts"] = [
                        {"message_index": f.message_index, "attribute": f.attribute, "value": f.value}
                        for f in said.facts
                    ]
                    one["facts_dropped"] = said.dropped
                found.append(one)
            yield pa.RecordBatch.from_pylist(found, schema=_read_schema(key))

    with answered(warehouse, rows, key, lambda row: extraction_of(judge, row), judge.llm) as (answers, paid):
        beside = [name for name in ("messages", "context_end") if name in rows.columns]
        texts = answers.join(rows.select(*key, *beside), key)
        types = [f"`{name}` {rows.schema[name].dataType.simpleString()}" for name in key]
        schema = ", ".join([*types, "request_id string", f"facts {FACTS}", "facts_dropped int", "error string"])
        facts = texts.mapInArrow(read, schema).persist(StorageLevel.DISK_ONLY)
        try:
            yield facts, paid
        finally:
            facts.unpersist()


def grading_of(judge: LLMJudge, row: Mapping[str, Any]) -> ChatRequest:
    """The request of a rollout with text, information, context, domain, goal, session_id, turn."""
    return grading_request(
        Question(row["text"], row["information"], messages_of(row["context"]), row["domain"], row["goal"]),
        model=judge.model,
        model_version=judge.model_version,
        form=judge.settings.prompt_form,
        session_id=row["session_id"],
        turn=row["turn"],
    )


@contextmanager
def judged(warehouse: Warehouse, judge: LLMJudge, asked: DataFrame, key: list[str]) -> Iterator[tuple[DataFrame, Paid]]:
    """Key, the columns of JUDGED and request_id of rollouts; what it took."""

    def read(batches: Batches) -> Batches:
        for batch in batches:
            rows = batch.to_pylist()
            found = [
                Judgement(None, None, row["call_error"])
                if row["call_error"]
                else read_judgement(row["parsed"], len(row["information"]))
                for row in rows
            ]
            table = pa.Table.from_batches([batch]).select([*key, "request_id"])
            for name, values in {
                "judged_r_a": pa.array([one.r_a for one in found], pa.float64()),
                "judged_asks": pa.array([one.asks for one in found], pa.bool_()),
                "judged_item": pa.array([one.item for one in found], pa.int32()),
                "judged_error": pa.array([one.error and f"grader: {one.error}" for one in found], pa.string()),
            }.items():
                table = table.append_column(name, values)
            yield from table.to_batches()

    columns = ("text", "information", "context", "domain", "goal")
    rows = asked.select(*key, *columns)
    with answered(warehouse, rows, key, lambda row: grading_of(judge, row), judge.llm) as (answers, paid):
        types = [f"`{name}` {asked.schema[name].dataType.simpleString()}" for name in key]
        schema = ", ".join([*types, "request_id string", JUDGED])
        texts = answers.join(rows.select(*key, "information"), key)
        yield texts.select(*key, "request_id", "information", "parsed", "call_error").mapInArrow(read, schema), paid


def _read_schema(key: list[str]) -> pa.Schema:
    fact = pa.struct([("message_index", pa.int32()), ("attribute", pa.string()), ("value", pa.string())])
    types = {"turn": pa.int32()}
    return pa.schema(
        [
            *((name, types.get(name, pa.string())) for name in key),
            ("request_id", pa.string()),
            ("facts", pa.list_(fact)),
            ("facts_dropped", pa.int32()),
            ("error", pa.string()),
        ]
    )
