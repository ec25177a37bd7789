"""The spool: what a task stored is there for its next attempt, whole, on a disk and on an object store."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from l2a.llm import spool
from l2a.llm.answer import AnswerRow
from l2a.llm.errors import UnknownModel, WrongKey
from l2a.llm.progress import Progress
from l2a.llm.spool import Spool

RUN = "a-run"


def row(request_id: str, text: str = "yes") -> AnswerRow:
    return AnswerRow(
        request_id=request_id, model="m", model_version="1", endpoint="http://e/v1", status="ok", error_class=None,
        error=None, text=text, parsed=None, prompt_tokens=7, cached_tokens=3, completion_tokens=1, latency_ms=5,
        attempts=1, last_status=200, finish_reason="stop", created_at=dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
    )  # fmt: skip


@pytest.fixture(params=["folder", "URL", "object store"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "object store":
        # delta-rs's object store over a local folder: the code that serves s3:// and its like.
        monkeypatch.setattr(spool, "open_files", lambda root: spool._Remote(f"{root}/{spool.FOLDER}"))
        (tmp_path / spool.FOLDER).mkdir(parents=True)
    return str(tmp_path) if request.param == "folder" else tmp_path.as_uri()


def test_another_attempt_finds_what_was_stored_and_reads_each_file_once(warehouse: str) -> None:
    first, second = Spool(warehouse, RUN), Spool(warehouse, RUN)
    first.store(0, 1, [row("a"), row("b")])
    first.store(1, 2, [row("of another task")])
    known: set[str] = set()
    assert second.finished(0, 9, known) == {"a", "b"}
    assert second.finished(0, 9, known) == set()
    first.store(0, 1, [row("c")])
    assert second.finished(0, 9, known) == {"c"}
    assert first.finished(0, 1, set()) == set(), "its own it knows"


def test_many_small_files_become_one_and_no_row_is_lost(warehouse: str, tmp_path: Path) -> None:
    place, other = Spool(warehouse, RUN), Spool(warehouse, RUN)
    known: set[str] = set()
    found: set[str] = set()
    for number in range(2 * spool.MANY_FILES + 3):
        place.store(0, 1, [row(f"r{number}")])
        if number % 7 == 0:
            found |= other.finished(0, 9, known)
    names = sorted((tmp_path / spool.FOLDER / RUN / "task-00000").glob("part-*"))
    assert [pq.read_metadata(name).num_rows for name in names] == [spool.MANY_FILES] * 2 + [1] * 3
    wanted = {f"r{number}" for number in range(2 * spool.MANY_FILES + 3)}
    assert found | other.finished(0, 9, known) == Spool(warehouse, RUN).finished(0, 9, set()) == wanted


def test_a_file_that_was_made_one_with_others_while_it_was_looked_for_is_found_there(
    warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, other = Spool(warehouse, RUN), Spool(warehouse, RUN)
    for number in range(spool.MANY_FILES - 1):
        place.store(0, 1, [row(f"r{number}")])
    read, late = other._files.get, iter([True])

    def get(name: str) -> bytes:
        if next(late, False):
            place.store(0, 1, [row("last")])
        return read(name)

    monkeypatch.setattr(other._files, "get", get)
    assert len(other.finished(0, 9, set())) == spool.MANY_FILES


def test_rows_come_back_as_they_were(warehouse: str, tmp_path: Path) -> None:
    text = '漢字 🙂 مرحبا \u2028 "}]<|im_end|> ' + "x" * 1_000_000
    Spool(warehouse, RUN).store(3, 4, [row("a", text)])
    (file,) = (tmp_path / spool.FOLDER / RUN).glob("task-*/part-*.parquet")
    (found,) = pq.read_table(file).to_pylist()
    assert found["text"] == text
    assert (found["run"], found["request_id"], found["created_at"]) == (RUN, "a", row("a").created_at)


def test_counters_of_all_attempts_add_up(warehouse: str) -> None:
    place = Spool(warehouse, RUN)
    place.tell(0, 1, Progress(ok=3, prompt_tokens=10, cost=0.5))
    place.tell(0, 2, Progress(ok=2, failed=1))
    place.tell(1, 3, Progress(ok=1))
    place.tell(1, 3, Progress(ok=4))
    told = place.told()
    assert (told.ok, told.failed, told.prompt_tokens, told.cost) == (9, 1, 10, 0.5)


def test_an_attempt_at_work_tells_something_new_and_a_dead_one_does_not(warehouse: str) -> None:
    place = Spool(warehouse, RUN)
    place.tell(0, 1, Progress())
    before = place.others_told(0, 2)
    assert before == place.others_told(0, 2) != {}
    place.tell(0, 1, Progress())
    assert place.others_told(0, 2) != before
    assert place.others_told(0, 1) == place.others_told(5, 1) == {}


def test_the_first_reason_to_stop_is_heard(warehouse: str) -> None:
    place = Spool(warehouse, RUN)
    assert place.stopped() is None
    place.stop(WrongKey("401 by the endpoint"))
    place.stop(UnknownModel("404"))
    assert Spool(warehouse, RUN).stopped() == ("WrongKey", "401 by the endpoint")


def test_a_run_is_listed_while_it_has_rows_and_gone_once_removed(warehouse: str) -> None:
    assert spool.runs(warehouse) == {}
    place = Spool(warehouse, RUN)
    place.tell_alive()
    assert not spool.has_rows(warehouse, RUN)
    place.store(0, 0, [row("a")])
    assert spool.has_rows(warehouse, RUN)
    assert 0 <= spool.runs(warehouse)[RUN] < 60
    spool.remove(warehouse, RUN)
    assert not spool.has_rows(warehouse, RUN)
    spool.remove(warehouse, RUN)


def test_a_file_that_is_only_half_written_is_not_there(tmp_path: Path) -> None:
    place = Spool(str(tmp_path), RUN)
    place.store(0, 0, [row("a")])
    folder = tmp_path / spool.FOLDER / RUN / "task-00000"
    (folder / ".part-00000-000001.parquet.77").write_bytes(b"PAR1 and no mo")
    assert place.finished(0, 1, set()) == {"a"}
