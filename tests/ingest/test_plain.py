"""The compiled way through a document's messages and the careful one say the same of every line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from l2a.ingest import files, parse
from l2a.mapping import load
from l2a.synth import LogSpec, lines

MESSAGES: list[Any] = [
    [{"role": "user", "content": "x"}],
    [{"role": "user", "content": "x", "ts": None}, {"role": "assistant", "content": "", "ts": None}],
    [{"role": "user", "content": "x", "ts": "2026-01-01"}, {"role": "assistant", "content": "y"}],
    [{"role": "user", "content": "x", "ts": "2026-01-01T00:00:00+02:00"}, {"role": "tool", "content": "y", "ts": None}],
    [{"role": "user", "content": "x", "ts": "12:30"}],
    [{"role": "user", "content": "x", "ts": "2026-13-01"}],
    [{"role": "user", "content": "x", "ts": "2026-01-01,2026-01-02"}],
    [{"role": "user", "content": "x", "ts": 17}],
    [{"role": "user", "content": "x"}, {"role": "assistant", "content": 5}],
    [{"role": "user", "content": "x"}, {"role": "assistant", "content": None}],
    [{"role": "user", "content": "x"}, {"role": "assistant"}],
    [{"role": "user", "content": "x"}, {"content": "y"}],
    [{"role": "user", "content": "x"}, {"role": "bot", "content": "y"}],
    [{"role": "user", "content": "x"}, {"role": 1, "content": "y"}],
    [{"role": "user", "content": "x", "extra": {"role": "assistant", "content": "z"}}],
    [{"role": "user", "content": "x", "extra, role: STRING": 1}, {"role": 5, "content": "y"}],
    [{"role": "user", "content": "x", "seq": 3, "tool_calls": None}],
    [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}],
    [{"role": "user", "content": "x"}, {"role": "assistant", "content": [{"type": "text", "text": "parts"}]}],
    [{"role": "user", "content": "x", "refusal": None, "function_call": None}],
    [{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}],
    [{"role": "user", "content": "x"}, {"role": "assistant", "content": " ", "function_call": {"name": "f"}}],
    [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "refusal": "I cannot."}],
    [{"role": "user", "content": ["x"]}, {"role": "assistant", "content": "y", "refusal": "z"}],
    [{"role": "user", "content": ["x", 5]}],
    [{"role": "developer", "content": "x"}, {"role": "user", "content": "y"}],
    [{"role": "assistant", "content": "x"}],
    [{"role": "user", "content": "é" * 40}],
    [{"role": "user", "content": "你好 🙂 שלום"}, {"role": "assistant", "content": '{"role": "user"}'}],
    ["x"],
    [],
    {},
    None,
    "x",
]


@pytest.mark.parametrize("mapping", ["native", "openai"])
def test_compiled_and_careful_parsing_agree(
    spark: SparkSession, write_lines: Callable[..., str], monkeypatch: pytest.MonkeyPatch, mapping: str
) -> None:
    how = load(mapping)
    key = how.fields.session_id.removeprefix("$.")
    path = write_lines("some.jsonl", [{key: f"s-{i}", "messages": each} for i, each in enumerate(MESSAGES)])
    made_up = write_lines("made-up.jsonl", lines(LogSpec(120, seed=3, format=mapping, bad_share=0.2)))

    def parsed() -> list[Any]:
        rows: DataFrame = parse.parse(files.lines(spark, [path, made_up], []), how, 64, 1 << 20)
        wanted = rows.select("source", "block", "place", "session_id", "messages", "reason")
        # The messages of a rejected line go nowhere.
        kept = F.when(F.col("reason").isNull(), F.col("messages"))
        return sorted(map(repr, wanted.withColumn("messages", kept).collect()))

    compiled = parsed()
    monkeypatch.setattr(
        parse,
        "with_plain_messages",
        lambda rows, *_: rows.withColumn(
            parse.MESSAGES, F.lit(None).cast("array<struct<role:string,content:string,ts:timestamp,seq:bigint>>")
        ),
    )
    assert compiled == parsed()


def test_made_up_logs_are_mostly_plain(spark: SparkSession, write_lines: Callable[..., str]) -> None:
    from l2a.ingest.plain import MESSAGES as PLAIN
    from l2a.ingest.plain import with_plain_messages

    path = write_lines("made-up.jsonl", lines(LogSpec(50, seed=3)))
    rows = files.lines(spark, [path], []).withColumn("v", F.try_parse_json("value"))
    assert with_plain_messages(rows, load("native"), 1 << 20).where(F.col(PLAIN).isNull()).count() == 0


def test_a_dialogue_may_have_any_number_of_timed_messages(spark: SparkSession, write_lines: Callable[..., str]) -> None:
    times = [f"2026-01-01T00:{i // 60 % 60:02d}:{i % 60:02d}.{i:06d}Z" for i in range(20_000)]
    messages = [{"role": "user", "content": "x", "ts": ts} for ts in times]
    worse = [*messages, {"role": "user", "content": "x", "ts": "noon"}]
    path = write_lines("long.jsonl", [{"session_id": f"s-{n}", "messages": m} for n, m in enumerate((messages, worse))])
    rows = parse.parse(files.lines(spark, [path], []), load("native"), 1 << 20, 1 << 24).orderBy("place")
    found = [tuple(row) for row in rows.select(F.size("messages"), "reason").collect()]
    assert found == [(20_000, None), (20_001, "not a time: ts is noon at message 20001")]
