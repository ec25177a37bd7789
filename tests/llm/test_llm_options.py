"""Options that name an LLM are refused where none is asked: ignored, they would hide a forgotten `--grader llm`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from l2a.cli import main

COMMANDS = {
    "extract": "the extractor is embedded",
    "grade": "the grader is embedded",
    "run logs.jsonl": "[judge] has the extractor embedded and the grader embedded",
    "rollout --condition expert": "expert answer without a model",
    "judge-check": "the judge is embedded",
    "train sft --condition sft": "a training by sft has no grader",
    "train grpo --condition grpo": "the grader is embedded",
}


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("command", COMMANDS)
def test_an_llm_that_nobody_asks_is_refused(command: str, tmp_path: Path) -> None:
    words = [*command.split(), "--endpoint", "http://127.0.0.1:9/v1", "--warehouse", str(tmp_path / "none")]
    said = CliRunner().invoke(main, words)
    assert said.exit_code == 2
    assert f"--endpoint: {COMMANDS[command]}, so no LLM is asked" in said.output
