"""Generic items leave the objectives by a filter that can be seen, counted, switched off; no call is paid twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import as_line, dialogue, dicts, open_warehouse
from llm_asking import quick

from l2a.llm.chaos.running import chaos_endpoint
from l2a.settings import JudgeSettings, ObjectiveSettings
from l2a.tables.contracts import GENERIC_ATTRIBUTES, LLM_CALLS, OBJECTIVES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from l2a.tables.warehouse import Warehouse

# The chaos endpoint names an attribute by the last words of the expert's question.
CONSENT = "May we send you news?"
ODD = ("What is the amount?", "Where was the place?")


def _log(n: int, domain: str = "bank", **fields: Any) -> dict[str, Any]:
    opening = f"My card {n} is gone."
    said = [opening, ODD[n % 2], f"It was number {n}.", CONSENT, "no", "Goodbye."]
    if n % 4 == 0:  # here the ritual comes alone
        said = [opening, CONSENT, "no", "Goodbye."]
    return dialogue(f"{domain}-{n}", *said, domain=domain, **fields)


LOGS = [_log(n) for n in range(8)] + [_log(n, "hotel") for n in range(2)]
ASKED = JudgeSettings(extractor="llm")
EASY = ObjectiveSettings(generic_context_effect=0.5, generic_min_dialogues=4)
Made = Callable[[Iterable[dict[str, Any]]], "Warehouse"]


@pytest.fixture
def made(spark: SparkSession, tmp_path: Path) -> Made:
    """Takes logs into one warehouse, all of them as train and dev dialogues, and slices them."""
    from l2a.mapping import load
    from l2a.settings import IngestSettings
    from spark_jobs.ingest import ingest
    from spark_jobs.slice import slice_dialogues

    nights = iter(range(100))

    def take(logs: Iterable[dict[str, Any]], where: str = "warehouse") -> Warehouse:
        log = tmp_path / f"{where}-{next(nights)}.jsonl"
        log.write_bytes(b"".join(as_line(line) + b"\n" for line in logs))
        warehouse = open_warehouse(spark, tmp_path / where)
        ingest(warehouse, [str(log)], load(None), IngestSettings(split_shares=(1, 0, 0)))
        slice_dialogues(warehouse)
        return warehouse

    return take


def test_generic_items_leave_the_information_and_every_turn_keeps_its_reason(
    made: Made, tmp_path: Path, spark: SparkSession
) -> None:
    from l2a.sql.engine import connect
    from spark_jobs.extract import extract

    with chaos_endpoint() as chaos:
        llm = quick(chaos.url)
        whole = made(LOGS)
        extract(whole, ASKED, llm, EASY)
        listed = {row["attribute"]: row for row in dicts(whole, GENERIC_ATTRIBUTES) if row["domain"] == "bank"}
        assert {name for name, row in listed.items() if row["generic"]} == {"we send you news"}
        assert not any(row["generic"] for row in dicts(whole, GENERIC_ATTRIBUTES) if row["domain"] == "hotel")

        found = {(row["session_id"], row["turn"]): row for row in dicts(whole, OBJECTIVES)}
        first, ritual = found["bank-1", 1], found["bank-1", 2]
        assert first["information"] == ["Where was the place: It was number 1."]
        assert first["supplied"] == [*first["information"], "we send you news: no"]
        assert (first["decision"], first["dropped_reason"]) == ("CONTINUE", None)
        assert (ritual["information"], ritual["decision"], ritual["dropped_reason"]) == ([], "STOP", "generic_only")
        assert found["hotel-1", 2]["information"] == ["we send you news: no"]
        reasons = "SELECT reason, cast(sum(turns) AS bigint) FROM drop_reasons GROUP BY 1 ORDER BY 1"
        assert connect(whole.root).execute(reasons).fetchall() == [("generic_only", 8), ("usable", 19)]
        view = "SELECT attribute, turns_without, turns_lost FROM generic_facts WHERE generic"
        assert connect(whole.root).execute(view).fetchall() == [("we send you news", 14, 8)]

        asked = chaos.server.record.served.total()
        assert extract(whole, ASKED, llm, EASY) is None
        before = dicts(whole, OBJECTIVES)

        # Night after night ends in the same objectives, though the list changes on the way, and though an older l2a
        # wrote some, which did not tell what had been supplied.
        nights = made(LOGS[:3], "nights")
        extract(nights, ASKED, llm, EASY)
        assert not any(row["generic"] for row in dicts(nights, GENERIC_ATTRIBUTES))
        spark.sql(f"UPDATE delta.`{nights.path('objectives')}` SET supplied = NULL WHERE session_id = 'bank-1'")
        older = [row["session_id"] for row in dicts(nights, OBJECTIVES) if row["supplied"] is None]
        assert older == ["bank-1"] * 3
        made(LOGS[3:], "nights")
        extract(nights, ASKED, llm, EASY)
        assert dicts(nights, OBJECTIVES) == before
        assert dicts(nights, GENERIC_ATTRIBUTES) == dicts(whole, GENERIC_ATTRIBUTES)
        assert chaos.server.record.served.total() == asked + len(LOGS)

        # A person overrules, or switches it off: no call is asked again for that, and the way back is the same.
        file = tmp_path / "generic.toml"
        file.write_text('[bank]\n"we send you news" = false\n', "utf-8")
        for settings in (
            EASY.model_copy(update={"generic_file": str(file)}),
            EASY.model_copy(update={"drop_generic": False}),
        ):
            extract(whole, ASKED, llm, settings)
            assert all(row["information"] == row["supplied"] for row in dicts(whole, OBJECTIVES))
        extract(whole, ASKED, llm, EASY)
        assert dicts(whole, OBJECTIVES) == before
        assert len(dicts(whole, LLM_CALLS)) == len(LOGS)
        assert chaos.server.record.served.total() == asked + len(LOGS)
