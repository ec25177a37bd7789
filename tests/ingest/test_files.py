"""Files that cannot be read, and how log files are told from others."""

from __future__ import annotations

import bz2
import gzip
import re
from pathlib import Path

import pyarrow as pa
import pytest
from helpers import as_line, dialogue

from l2a.errors import EnvironmentProblem, InputUnreadable, UsageError

BODY = b"".join(as_line(dialogue(f"s-{i}")) + b"\n" for i in range(200))


@pytest.mark.parametrize("name", ["cut.jsonl.gz", "no.parquet"])
def test_a_damaged_file_is_named_and_can_be_mended(take, write_lines, warehouse, tmp_path: Path, name: str) -> None:
    from l2a.tables.contracts import RUNS

    write_lines("in/good.jsonl", [dialogue("good")])
    damaged = tmp_path / "in" / name
    damaged.write_bytes(gzip.compress(BODY)[:500])
    with pytest.raises(InputUnreadable, match=rf"{name} cannot be read to its end: it is damaged") as raised:
        take(str(tmp_path / "in"))
    assert raised.value.exit_code == 1
    (run,) = warehouse.read(RUNS).collect()
    assert (run["status"], run["rows_in"]) == ("failed", 0)
    damaged.unlink()
    assert take(str(tmp_path / "in")).rows_new == 1


def test_every_compression_that_is_offered_can_be_read(spark, tmp_path: Path) -> None:
    from l2a.ingest import files

    (tmp_path / "a.jsonl").write_bytes(BODY)
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(BODY))
    (tmp_path / "c.ndjson.bz2").write_bytes(bz2.compress(BODY))
    (tmp_path / "d.jsonl.zst").write_bytes(pa.compress(BODY, codec="zstd", asbytes=True))
    (tmp_path / "e.txt").write_bytes(BODY)
    (tmp_path / "_hidden.jsonl").write_bytes(BODY)
    (tmp_path / "deep [1]").mkdir()
    (tmp_path / "deep [1]" / "f {2}.JSONL").write_bytes(BODY)
    found = files.find(spark, [str(tmp_path), str(tmp_path / "*.gz"), str(tmp_path / "a.jsonl")])
    names = [file.path.rsplit("/", 1)[1] for file in found]
    assert names == ["a.jsonl", "b.json.gz", "c.ndjson.bz2", "d.jsonl.zst", "f {2}.JSONL"]
    lines = files.lines(spark, [file.path for file in found], [])
    assert {row["source"]: row["count"] for row in lines.groupBy("source").count().collect()} == {
        file.path: 200 for file in found
    }
    for named in ("e.txt", "deep [1]/f {2}.JSONL"):
        assert [file.path for file in files.find(spark, [str(tmp_path / named)])] == [f"file:{tmp_path / named}"]
    with pytest.raises(UsageError, match=r"there is nothing to read at .*gone"):
        files.find(spark, [str(tmp_path / "gone")])
    (tmp_path / "colon").mkdir()
    (tmp_path / "colon" / "part-02:00.jsonl").write_bytes(BODY)
    for path in (f"{tmp_path}/_hidden.jsonl", f"{tmp_path}/[ab", "part-2026-11-21T02:00.jsonl", f"{tmp_path}/colon"):
        with pytest.raises(UsageError, match=re.escape(path)):
            files.find(spark, [path])


def test_a_place_without_a_connector_is_named_with_what_to_do(take) -> None:
    with pytest.raises(EnvironmentProblem, match=r"Spark cannot reach s3://logs/landing: .*s3a://"):
        take("s3://logs/landing")
