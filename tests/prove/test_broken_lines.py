"""As many broken lines as good ones: every good one is a dialogue, every broken one a row with the right reason."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from command_line import contents, digests, l2a

from l2a.synth import LogSpec, write_log
from l2a.synth.broken import broken_kinds

REASONS = {
    "content_null": "message without content: at message ",
    "content_number": "content of the wrong type: bigint at message ",
    "deep_nesting": "not JSON: nested too deep",
    "duplicate_key": "duplicate keys: 'session_id' comes twice",
    "duplicate_key_in_message": "duplicate keys: 'role' comes twice",
    "empty_object": "no session id: the field is missing or null",
    "message_not_object": "message is not an object: at message 2",
    "message_without_content": "message without content: at message ",
    "message_without_role": "message without role: at message ",
    "messages_empty": "no messages: the list is empty",
    "messages_null": "no messages: the field is missing or null",
    "messages_object": "messages is not a list: ",
    "nan_literal": "not JSON: NaN is no JSON number",
    "no_messages": "no messages: the field is missing or null",
    "no_session_id": "no session id: the field is missing or null",
    "no_user_message": "no user message: ",
    "not_an_object": "not an object: ",
    "not_json": "not JSON: ",
    "not_utf8": "not UTF-8: ",
    "over_size": "over the size limit: more than 16777216 bytes at message ",
    "rubbish_after_object": "rubbish after the object: -- end of record",
    "session_id_empty": "no session id: the field is empty",
    "session_id_null": "no session id: the field is missing or null",
    "session_id_number": "session id of the wrong type: bigint instead of string",
    "single_quotes": "not JSON: ",
    "truncated_json": "truncated JSON: ",
    "ts_not_a_time": "not a time: ts is half past nine at message ",
    "two_objects": "rubbish after the object: {",
    "unknown_role": "unknown role: moderator at message ",
    "unpaired_surrogate": "not JSON: half of a surrogate pair",
    "updated_at_not_a_time": "not a time: updated_at is yesterday afternoon",
}

SIZES = [
    pytest.param(400, None, id="400", marks=pytest.mark.slow),
    pytest.param(10_000, None, id="10000", marks=pytest.mark.prove),
    # A message of 17 MB goes round with the other kinds.
    pytest.param(100, 17_000_000, id="100 and over the size limit", marks=pytest.mark.prove),
]


@pytest.mark.parametrize(("count", "oversize_bytes"), SIZES)
def test_every_line_is_a_dialogue_or_a_row_with_its_reason(
    tmp_path: Path, count: int, oversize_bytes: int | None
) -> None:
    log, truth, warehouse = tmp_path / "log.jsonl", tmp_path / "truth.jsonl", tmp_path / "warehouse"
    spec = LogSpec(count, seed=11, bad_share=0.5, oversize_bytes=oversize_bytes)
    summary = write_log(spec, log, truth=truth)
    assert {kind.name for kind in broken_kinds(spec)} == set(summary.broken) <= set(REASONS)
    assert len(summary.broken) >= 15

    # Two lines of 17 MB at a time do not fit into the tests' own gigabyte.
    done = l2a("ingest", log, "--warehouse", warehouse, expected=1, L2A_SPARK__DRIVER_MEMORY="2g")
    assert f"{count:,} of {2 * count:,} rows failed (50.0%)" in done.stderr

    tables = contents(warehouse)
    broken = {row["line"]: row["broken"] for row in map(json.loads, truth.open(encoding="utf-8")) if "broken" in row}
    found = {position: reason for _, position, reason, _ in tables["quarantine"]}
    assert len(tables["dialogues"]) == len(tables["quarantine"]) == len(broken) == count
    assert sorted(found) == sorted(broken)
    wrong = Counter((kind, found[line]) for line, kind in broken.items() if not found[line].startswith(REASONS[kind]))
    assert not wrong, wrong.most_common(10)

    before = digests(warehouse)
    again = l2a("ingest", log, "--warehouse", warehouse)
    assert "every file was read before, nothing to do" in again.stderr
    assert digests(warehouse) == before
