"""A small warehouse in literal rows, with text that is hard to carry: scripts, quotes, markup, newlines."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from l2a.tables.contract import Contract
    from l2a.tables.warehouse import Warehouse

AT = dt.datetime(2026, 11, 21, 9, 30, 0, 250_000, tzinfo=dt.UTC)
LATER = AT + dt.timedelta(days=1)
HARD = 'user: "ok"\nassistant: <stop /> 🙂, مرحبا'


def messages(*said: tuple[str, str]) -> list[tuple[Any, ...]]:
    return [(role, content, AT if number == 0 else None, number) for number, (role, content) in enumerate(said)]


TALK = messages(
    ("user", "我的卡丢了"),
    ("assistant", "Since when?"),
    ("assistant", "And where?"),
    ("user", HARD),
    ("system", "transferred"),
    ("assistant", "Goodbye."),
)


def _dialogue(session: str, domain: str | None, outcome: str | None, split: str) -> dict[str, Any]:
    return {
        "session_id": session, "dialogue_version": "v1", "source": f"/logs/{domain}.jsonl", "ingested_at": AT,
        "updated_at": AT, "landed": AT.date(), "domain": domain, "goal": "help", "outcome": outcome, "expert": "e-1",
        "split": split, "messages": TALK,
    }  # fmt: skip


def _turns(session: str, split: str, dropped: str | None = None) -> list[dict[str, Any]]:
    common = {"session_id": session, "dialogue_version": "v1", "split": split, "dropped_reason": dropped}
    return [
        {**common, "turn": 1, "is_final": False, "context_end": 1, "utterance_messages": 2},
        {**common, "turn": 2, "is_final": True, "context_end": 5, "utterance_messages": 1},
    ]


def _objective(session: str, turn: int, facts: list[str] | None, **more: Any) -> dict[str, Any]:
    decision = None if facts is None else "CONTINUE" if facts else "STOP"
    return {
        "session_id": session, "turn": turn, "dialogue_version": "v1", "extractor": "x-1", "information": facts,
        "supplied": facts,
        "decision": decision, "dropped_reason": None, "status": "failed" if facts is None else "ok",
        "error": "no answer" if facts is None else None, **more,
    }  # fmt: skip


def _listed(domain: str, attribute: str, generic: bool, by: str) -> dict[str, Any]:
    return {
        "extractor": "x-1", "domain": domain, "attribute": attribute, "dialogues": 60, "turns": 100,
        "asked_share": 0.97, "hit_share": 0.9, "context_effect": 0.01, "generic": generic, "decided_by": by,
    }  # fmt: skip


def _answer(condition: str, session: str, turn: int, sample: int) -> dict[str, Any]:
    return {
        "condition": condition, "model_version": "m1", "session_id": session, "turn": turn, "dialogue_version": "v1",
        "sample": sample,
    }  # fmt: skip


def _rollout(condition: str, session: str, turn: int, sample: int, text: str | None) -> dict[str, Any]:
    stops = text == "<stop />"
    return {
        **_answer(condition, session, turn, sample), "text": text, "action": None if stops else text,
        "decision": None if text is None else "STOP" if stops else "CONTINUE",
        "status": "failed" if text is None else "ok", "error": "timeout" if text is None else None,
    }  # fmt: skip


def _grade(
    condition: str, session: str, turn: int, sample: int, r_a: float | None, r_s: float | None, omega: float | None
) -> dict[str, Any]:
    failed = r_a is None
    return {
        **_answer(condition, session, turn, sample), "extractor": "x-1", "grader": "g-1", "r_a": r_a, "r_s": r_s,
        "omega": omega, "status": "failed" if failed else "ok", "error": "grader unreachable" if failed else None,
    }  # fmt: skip


def _metrics(evaluation: str, at: dt.datetime, condition: str, **values: float | None) -> list[dict[str, Any]]:
    return [
        {
            "evaluation_id": evaluation, "condition": condition, "metric": name.replace("_", "-"), "value": value,
            "n": 4, "n_dialogues": 2, "ci_low": None if value is None else value - 0.1,
            "ci_high": None if value is None else value + 0.1, "extractor": "x-1", "grader": "g-1", "beta": 2.0,
            "created_at": at, "ungraded_share": 0.25, "dropped_share": 0.5,
        }
        for name, value in values.items()
    ]  # fmt: skip


def _sliced(slice_name: str, slice_value: str, condition: str, **values: float | None) -> list[dict[str, Any]]:
    rows = _metrics("new", LATER, condition, **values)
    return [{**row, "slice": slice_name, "slice_value": slice_value} for row in rows]


def _cell(condition: str, domain: str, turn_number: str, **sums: float) -> dict[str, Any]:
    zeros = dict.fromkeys(
        ("n_rollouts", "n", "n_continue", "n_continue_right", "n_continue_graded", "n_good_hit", "n_stop",
         "n_stop_right"), 0
    )  # fmt: skip
    return {
        "evaluation_id": "new", "condition": condition, "split": "eval", "domain": domain, "expert": "e-1",
        "month": "2026-11", "turn_number": turn_number, "dialogues": 1, "extractor": "x-1", "grader": "g-1",
        "beta": 2.0, "created_at": LATER, **zeros, "sum_r_a": 0.0, "sum_omega_continue": 0.0, "sum_omega_stop": 0.0,
        **sums,
    }  # fmt: skip


def _comparison(condition: str, metric: str, difference: float | None, called: str, dialogues: int) -> dict[str, Any]:
    return {
        "evaluation_id": "new", "baseline": "random", "condition": condition, "metric": metric,
        "difference": difference, "ci_low": None if difference is None else difference - 0.1,
        "ci_high": None if difference is None else difference + 0.1, "n_dialogues": dialogues, "called": called,
        "value": 0.9, "baseline_value": 0.6, "extractor": "x-1", "grader": "g-1", "beta": 2.0, "created_at": LATER,
    }  # fmt: skip


def _run(run_id: str, step: str, rows: tuple[int, int, int, int], **more: Any) -> dict[str, Any]:
    return {
        "run_id": run_id, "step": step, "subject": None, "started_at": AT, "seconds": 1.5, "status": "ok",
        "error": None, "rows_in": rows[0], "rows_out": rows[1], "rows_set_aside": rows[2], "rows_failed": rows[3],
        "rows_new": None, "rows_updated": None, "rows_unchanged": None, "rows_superseded": None,
        "rows_quarantined": None, "calls_paid": 3, "calls_saved": 2, "prompt_tokens": 100, "cached_tokens": 50,
        "completion_tokens": 7, "versions": {"l2a": "0.1", "dialogues": "3"}, **more,
    }  # fmt: skip


def _call(request: str, status: str, error_class: str | None, prompt: int, cached: int, **more: Any) -> dict[str, Any]:
    return {
        "request_id": request, "model": "judge", "model_version": "3", "status": status, "error_class": error_class,
        "error": error_class and "said the endpoint", "prompt_tokens": prompt, "cached_tokens": cached,
        "completion_tokens": 10 if status == "ok" else 0, "latency_ms": 500, "attempts": 2, "tried_in": ["r-3"],
        "created_at": AT, **more,
    }  # fmt: skip


LANDED = "file:/landing/dt=2026-11-20/part-0.jsonl"


def _source(path: str, run_id: str, **more: Any) -> dict[str, Any]:
    return {
        "path": path, "size_bytes": 100, "modified_at": AT, "mapping": "native 1", "run_id": run_id, "ingested_at": AT,
        **more,
    }  # fmt: skip


def _training(condition: str, at: dt.datetime, usable: int) -> dict[str, Any]:
    return {
        "condition": condition, "training_id": f"t-{condition}", "method": "grpo", "recipe": "ci", "seed": 0,
        "model_version": "m1", "registry_version": 1, "mlflow_run_id": "r", "extractor": "x-1", "grader": "g-1",
        "dialogues_version": 1, "turns_version": 1, "objectives_version": 1, "usable_turns": usable,
        "trained_turns": usable, "steps": 6, "started_at": at, "seconds": 60.0, "created_at": at,
    }  # fmt: skip


INGESTED = {"rows_new": 3, "rows_updated": 1, "rows_unchanged": 2, "rows_superseded": 1, "rows_quarantined": 3}

ROWS: dict[str, list[dict[str, Any]]] = {
    "sources": [_source(LANDED, "r-1"), _source("file:/landing/dt=2026-11-20/part-1.jsonl", "r-1"),
                _source("file:/logs/a.jsonl", "r-0"),
                _source(LANDED, "r-0", mapping="openai 1", ingested_at=AT - dt.timedelta(days=1))],
    "dialogues": [
        _dialogue("bank-1", "bank", "success", "eval"),
        _dialogue("bank-2", "bank", "failure", "train"),
        _dialogue("wenzhen-1", "问诊", None, "eval"),
        {**_dialogue("none-1", None, "success", "dev"), "source": LANDED},
    ],
    "quarantine": [
        {"source": "/logs/a.jsonl", "position": 3, "reason": "not JSON: at 7", "raw": '{"a', "ingested_at": AT},
        {"source": "/logs/a.jsonl", "position": 4, "reason": "not JSON: at 9", "raw": HARD, "ingested_at": AT},
        {"source": "/logs/b.parquet", "position": None, "reason": "no session id", "raw": None, "ingested_at": AT},
    ],
    "turns": [*_turns("bank-1", "eval"), *_turns("bank-2", "train", "outcome"), *_turns("wenzhen-1", "eval")],
    "objectives": [
        _objective("bank-1", 1, ["place: the market", "amount: 5, or 6"],
                   supplied=["place: the market", "amount: 5, or 6", "Consent: yes: all"]),
        _objective("bank-1", 2, []),
        _objective("wenzhen-1", 1, [], dropped_reason="nothing_gained"),
        _objective("wenzhen-1", 2, None, request_id="c-3"),
    ],
    "generic_attributes": [
        _listed("bank", "place", False, "data"), _listed("bank", "consent", True, "file"),
        _listed("问诊", "过敏史", True, "data"),
    ],
    "rollouts": [
        _rollout("expert", "bank-1", 1, 0, "Where was it?"),
        _rollout("expert", "bank-1", 2, 0, "<stop />"),
        _rollout("random", "bank-1", 1, 0, "Is it raining?"),
        _rollout("random", "bank-1", 1, 1, HARD),
        _rollout("random", "bank-1", 2, 0, "Since when?"),
        _rollout("random", "bank-1", 2, 1, None),
    ],
    "grades": [
        _grade("expert", "bank-1", 1, 0, 1.0, 1.0, 1.0),
        _grade("expert", "bank-1", 2, 0, 1.0, 1.0, 1.0),
        _grade("random", "bank-1", 1, 0, 0.0, 1.0, 1.0),
        _grade("random", "bank-1", 1, 1, None, 1.0, None),
        _grade("random", "bank-1", 2, 0, 0.0, 0.0, 0.0),
    ],
    "llm_calls": [
        _call("c-1", "ok", None, 100, 60, text=HARD),
        _call("c-2", "ok", None, 50, 0, text="{}"),
        _call("c-3", "failed", "TooLong", 0, 0),
    ],
    "metrics": [
        *_metrics("old", AT, "expert", WA=0.9, WA_GH=0.9, WC=0.9, WS=0.9, AA=0.9, FC=0.9, TR=3.0),
        *_metrics("new", LATER, "expert", WA=1.0, WA_GH=1.0, WC=1.0, WS=1.0, AA=1.0, FC=1.0, TR=4.0),
        *_metrics("new", LATER, "random", WA=0.0, WA_GH=0.0, WC=1.0, WS=0.0, AA=2 / 3, FC=0.5, TR=1.5),
    ],
    "metric_slices": [
        *_sliced("domain", "bank", "expert", WA=1.0, AA=1.0, TR=4.0),
        *_sliced("domain", "问诊", "expert", WA=None, AA=0.5, TR=0.5),
        *_sliced("after_first_turn", "true", "random", WA=0.0, AA=0.5, TR=1.0),
        *_sliced("turn_number", "6+", "random", WA=0.0, AA=0.5, TR=None),
    ],
    "metric_cube": [
        _cell("expert", "bank", "1", n_rollouts=1, n=1, n_continue=1, n_continue_right=1, n_continue_graded=1,
              sum_r_a=1.0, n_good_hit=1, sum_omega_continue=1.0),
        _cell("expert", "bank", "2", n_rollouts=1, n=1, n_stop=1, n_stop_right=1, sum_omega_stop=1.0),
        _cell("random", "bank", "1", n_rollouts=2, n=2, n_continue=2, n_continue_right=2, n_continue_graded=1,
              sum_omega_continue=1.0),
        _cell("random", "bank", "2", n_rollouts=2, n=1, n_stop=1),
        _cell("random", "问诊", "6+", n_rollouts=3, n=3, n_continue=3, n_continue_right=2),
    ],
    "comparisons": [
        _comparison("expert", "AA", 0.3, "higher", 40), _comparison("expert", "TR", 2.5, "no difference called", 19),
        _comparison("expert", "WS", None, "no difference called", 0),
    ],
    "trainings": [_training("grpo-1", AT, 4), _training("expert", AT - dt.timedelta(days=1), 3)],
    "runs": [
        _run("r-1", "ingest", (10, 4, 3, 3), **INGESTED),
        _run("r-2", "slice", (4, 6, 2, 0), started_at=LATER),
        _run("r-3", "extract", (4, 4, 1, 1), subject="x-1", started_at=LATER),
        _run("r-0", "ingest", (8, 0, 0, 8), started_at=AT - dt.timedelta(days=1), rows_quarantined=8),
    ],
}  # fmt: skip


def write_by_spark(warehouse: Warehouse, contract: Contract) -> None:
    """Writes a table's literal rows, and leaves a deletion vector: one row is deleted and written again."""
    from pyspark.sql.types import StructType

    contract = dataclasses.replace(contract, invariants=())  # what is read here is not what a step may write
    literal = [tuple(row.get(name) for name in contract.column_names) for row in ROWS[contract.name]]
    rows = warehouse.spark.createDataFrame(literal, StructType.fromDDL(contract.ddl)).coalesce(1)
    warehouse.upsert(contract, rows)
    last = ROWS[contract.name][-1]
    where = " AND ".join(f"{name} <=> {_sql(last[name])}" for name in contract.key)
    warehouse.spark.sql(f"DELETE FROM delta.`{warehouse.path(contract.name)}` WHERE {where}")
    warehouse.upsert(contract, rows)


def _sql(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP'{value.isoformat()}'"
    return "NULL" if value is None else repr(value)
