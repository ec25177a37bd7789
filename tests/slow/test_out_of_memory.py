"""What somebody reads whose machine was too small."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import contents, l2a
from helpers import as_line, dialogue

pytestmark = pytest.mark.slow


def test_a_step_whose_memory_runs_out_says_so_and_goes_on_with_more(tmp_path: Path) -> None:
    log, warehouse = tmp_path / "log.jsonl", tmp_path / "warehouse"
    log.write_bytes(b"\n".join(as_line(dialogue(f"s-{number}", "x" * 60_000_000)) for number in range(2)))
    ingest = ("ingest", log, "--warehouse", warehouse)

    done = l2a(*ingest, expected=1, L2A_SPARK__DRIVER_MEMORY="512m")
    assert "ended in the middle, as it does when its memory runs out" in done.stderr
    assert "Traceback" not in done.stderr

    done = l2a(*ingest, expected=1, L2A_SPARK__DRIVER_MEMORY="3g")
    assert "2 of 2 rows failed" in done.stderr
    assert {reason[:19] for _, _, reason, *_ in contents(warehouse)["quarantine"]} == {"over the size limit"}
