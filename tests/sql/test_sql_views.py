"""What the views say about the literal rows, in DuckDB (that Spark says the same is tested beside this)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from literal import HARD

from l2a.errors import TableIncompatible
from l2a.metrics.definitions import METRICS, UNGRADED
from l2a.sql import views
from l2a.tables.contract import VERSION_PROPERTY

if TYPE_CHECKING:
    from conftest import Answer
    from pyspark.sql import SparkSession


def test_turn_texts_cuts_exactly_at_the_decision_point(in_duckdb: Answer) -> None:
    _, rows = in_duckdb(
        "SELECT turn, context, future, utterance FROM turn_texts WHERE session_id = 'bank-1' ORDER BY turn"
    )
    first, second = rows
    assert first[1] == [{"role": "user", "content": "我的卡丢了"}]
    assert [message["content"] for message in first[2]] == [
        "Since when?", "And where?", HARD, "transferred", "Goodbye."
    ]  # fmt: skip
    assert first[3] == "Since when?\nAnd where?"
    assert [message["role"] for message in second[1]] == ["user", "assistant", "assistant", "user", "system"]
    assert second[1][3]["content"] == HARD
    assert (second[2], second[3]) == ([{"role": "assistant", "content": "Goodbye."}], "Goodbye.")


def test_context_and_future_make_up_the_dialogue(in_duckdb: Answer) -> None:
    _, rows = in_duckdb("""
        SELECT count(*) FROM turn_texts t JOIN dialogues d ON d.session_id = t.session_id
        WHERE size(t.context) + size(t.future) <> size(d.messages) OR size(t.context) <> t.context_end
    """)
    assert rows == [(0,)]


def test_every_line_of_an_ingest_run_is_accounted_for(in_duckdb: Answer) -> None:
    _, rows = in_duckdb("SELECT step, rows_in, difference FROM reconciliation ORDER BY run_id")
    assert rows == [("ingest", 8, 0), ("ingest", 10, 0), ("slice", 4, None), ("extract", 4, None)]


def test_quarantine_reasons_count_kinds_and_show_an_example(in_duckdb: Answer) -> None:
    _, rows = in_duckdb(
        "SELECT reason_kind, lines, example_source, example_position, example_raw FROM quarantine_reasons ORDER BY 2"
    )
    assert rows == [
        ("no session id", 1, "/logs/b.parquet", None, None),
        ("not JSON", 2, "/logs/a.jsonl", 3, '{"a'),
    ]


def test_llm_usage_adds_up_tokens_and_tells_errors_apart(in_duckdb: Answer) -> None:
    _, rows = in_duckdb(
        "SELECT status, error_class, calls, attempts, prompt_tokens, cached_share, mean_seconds"
        " FROM llm_usage ORDER BY 1"
    )
    assert rows == [("failed", "TooLong", 1, 2, 0, None, 0.5), ("ok", None, 2, 4, 150, 0.4, 0.5)]


def test_drop_reasons_add_up_to_all_turns(in_duckdb: Answer) -> None:
    _, rows = in_duckdb("SELECT split, reason, turns FROM drop_reasons WHERE extractor = 'x-1' ORDER BY ALL")
    assert rows == [
        ("eval", "extraction_failed", 1),
        ("eval", "nothing_gained", 1),
        ("eval", "usable", 2),
        ("train", "outcome", 2),
    ]


def test_generic_facts_tell_what_leaving_them_out_costs(in_duckdb: Answer) -> None:
    _, rows = in_duckdb(
        "SELECT attribute, generic, turns_with, turns_without, turns_lost FROM generic_facts ORDER BY 1"
    )
    assert rows == [("consent", True, 1, 1, 0), ("place", False, 1, 0, 0), ("过敏史", True, 0, 0, 0)]


def test_the_funnel_narrows(in_duckdb: Answer) -> None:
    columns, rows = in_duckdb("SELECT * FROM dialogue_funnel ORDER BY domain NULLS LAST")
    bank = dict(zip(columns, rows[0], strict=True))
    assert bank["dialogues"] == 2
    assert (bank["successful"], bank["outcome_unknown"], bank["sliced"]) == (1, 0, 2)
    assert (bank["turns"], bank["usable_turns"], bank["extracted"], bank["usable_objectives"]) == (4, 2, 2, 2)
    assert (bank["continue_turns"], bank["stop_turns"]) == (1, 1)
    wenzhen = dict(zip(columns, rows[1], strict=True))
    assert (wenzhen["outcome_unknown"], wenzhen["extracted"], wenzhen["usable_objectives"]) == (1, 1, 0)
    assert rows[2][0] is None


def test_metric_table_marks_the_newest_evaluation(in_duckdb: Answer) -> None:
    _, rows = in_duckdb(
        "SELECT evaluation_id, condition, is_newest, wa_gh, tr, tr_ci_low, tr_n FROM metric_table ORDER BY 1, 2"
    )
    assert rows == [
        ("new", "expert", True, 1.0, 4.0, 3.9, 4),
        ("new", "random", True, 0.0, 1.5, 1.4, 4),
        ("old", "expert", False, 0.9, 3.0, 2.9, 4),
    ]


def test_the_cube_gives_the_metrics_of_any_cell_and_of_any_sum_of_cells(in_duckdb: Answer) -> None:
    _, rows = in_duckdb(
        "SELECT condition, turn_number, wa, wa_gh, wc, ws, aa, fc, tr, ungraded_share FROM metric_cube_metrics"
        " WHERE domain = 'bank' ORDER BY 1, 2"
    )
    assert rows == [
        ("expert", "1", 1.0, 1.0, 1.0, None, 1.0, 1.0, 4.0, 0.0),
        ("expert", "2", None, None, None, 1.0, 1.0, 1.0, 4.0, 0.0),
        ("random", "1", 0.0, 0.0, 1.0, None, 1.0, 1.0, 2.0, 0.5),
        ("random", "2", None, None, None, 0.0, 0.0, 0.0, 0.0, 0.5),
    ]


def test_the_cube_has_the_expressions_of_the_metrics_word_for_word() -> None:
    written = " ".join(views.spark_sql("metric_cube_metrics").split())
    for name, sql in {**METRICS, "ungraded_share": UNGRADED}.items():
        assert f"{sql} AS {name.lower().replace('-', '_')}" in written


def test_published_and_recomputed_numbers_agree(in_duckdb: Answer) -> None:
    _, rows = in_duckdb("""
        SELECT m.condition, abs(m.aa - avg(r.r_s)) < 1e-9
        FROM metric_table m JOIN graded_rollouts r ON r.condition = m.condition
        WHERE m.is_newest AND r.is_usable AND r.split = 'eval' GROUP BY m.condition, m.aa ORDER BY 1
    """)
    assert rows == [("expert", True), ("random", True)]


def test_metric_history_puts_each_evaluation_beside_the_one_before(in_duckdb: Answer) -> None:
    _, rows = in_duckdb(
        "SELECT condition, number, value, value_before, round(change, 9), trained_at IS NOT NULL FROM metric_history"
        " WHERE metric = 'TR' ORDER BY 1, 2"
    )
    assert rows == [
        ("expert", 1, 3.0, None, None, True),
        ("expert", 2, 4.0, 3.0, 1.0, True),
        ("random", 1, 1.5, None, None, False),
    ]


def test_a_night_says_what_its_last_readings_brought_and_what_still_waits(in_duckdb: Answer, in_spark: Answer) -> None:
    sql = (
        "SELECT night, files, lines, quarantined_lines, quarantined_share, difference, dialogues, unsliced, turns"
        " FROM night_intake"
    )
    for answer in (in_duckdb, in_spark):
        _, rows = answer(sql)
        assert rows == [("2026-11-20", 2, 10, 3, 0.3, 0, 1, 1, 0)], "the 8 lines that another mapping rejected are past"


def test_what_does_not_add_up_is_counted_by_promise(in_duckdb: Answer) -> None:
    _, rows = in_duckdb("SELECT what, found FROM table_reconciliation WHERE found > 0 ORDER BY 1")
    assert rows == [
        ("dialogues of a file that no run has read", 3),
        ("dialogues that are not sliced", 1),
        ("rejected lines of a file that no run has read", 3),
    ]


def test_growth_counts_usable_train_turns_since_the_newest_training_of_a_method(in_duckdb: Answer) -> None:
    _, rows = in_duckdb("SELECT method, condition, trained_usable_turns, usable_turns, new_turns FROM retrain_growth")
    assert rows == [("grpo", "grpo-1", 4, 0, -4)]


def test_spark_refuses_a_table_of_another_l2a_too(spark: SparkSession, tmp_path: Path) -> None:
    from deltalake import write_deltalake

    from l2a.sql.spark import create_views

    written = pa.table({"session_id": ["s"], "turn": [1], "utterance_end": [2]})
    write_deltalake(tmp_path / "turns", written)
    log = tmp_path / "turns" / "_delta_log" / "00000000000000000000.json"
    said = log.read_text(encoding="utf-8")
    log.write_text(said.replace('"configuration":{', f'"configuration":{{"{VERSION_PROPERTY}":"1"'), encoding="utf-8")
    with pytest.raises(TableIncompatible, match=r"older l2a .* remove it and run `l2a slice --all`"):
        create_views(spark, str(tmp_path))
