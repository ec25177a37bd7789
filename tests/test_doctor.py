"""What the doctor asks may hang or be wrong: it says so and goes on, with the settings that it was given."""

from __future__ import annotations

import os
import py_compile
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from l2a import doctor
from l2a.cli import main
from l2a.settings import load


@pytest.fixture
def hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which an nvidia-smi and a java that never answer note what they left running."""
    noted = tmp_path / "noted"
    for name in ("nvidia-smi", "java"):
        (tmp_path / name).write_text(f"#!/bin/sh\nsleep 60 &\necho $! >> {noted}\nwait\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(doctor, "ASK_SECONDS", 1.0)
    return noted


def test_programs_that_hang_are_named_and_end(hangs: Path) -> None:
    found = {finding.about: finding for finding in doctor.findings(load())}
    assert "nvidia-smi does not answer within 1 s" in found["GPU"].says
    assert "java -version does not answer" in found["Java"].says
    left = hangs.read_text().split()
    assert len(left) == 2
    for number in left:
        until_gone(int(number))


def test_a_spark_that_hangs_is_a_problem_with_something_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SPARK_SECONDS", 0.1)
    done = CliRunner().invoke(main, ["doctor", "--spark"])
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit), done.exception
    assert "PROBLEM  Spark: neither started nor failed" in done.output
    assert "-> read Spark's log" in done.output


def test_spark_is_tried_with_the_settings_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(f"[spark]\njars = '{tmp_path}'\n")
    done = CliRunner().invoke(main, ["doctor", "--spark", "--config", str(tmp_path / "mine.toml")])
    assert f"PROBLEM  Spark: setting [spark] jars: the folder {tmp_path} holds no delta-spark jar" in done.output


@pytest.mark.parametrize(("unset", "compiled", "found"), [(False, False, 1), (True, False, 0), (False, True, 0)])
def test_libraries_that_every_process_compiles_again_are_noted(
    unset: bool, compiled: bool, found: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", not unset)
    if compiled:
        py_compile.compile(str(tmp_path / "torch.py"))
    assert len(list(doctor.bytecode())) == found


def test_the_judges_endpoints_and_the_policies_are_asked_each_once() -> None:
    down, shared = "http://127.0.0.1:9/v1", "http://127.0.0.1:10/v1"
    llm = {"endpoints": [shared], "policy_endpoints": [shared, down]}
    found = doctor._endpoints(load(options={"llm": llm}))
    assert [finding.about for finding in found] == [f"endpoint {shared}", f"endpoint {down}"]


def until_gone(number: int) -> None:
    for _ in range(100):
        try:
            if Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.05)
    raise AssertionError(f"the process {number} runs on")
