"""Airflow in processes of its own: it takes its settings from the environment when it is imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow_runs import Ran, environment

SPARK_SUBMIT = """#!{python}
import json, os, sys
with open({log!r}, "a") as out:
    out.write(json.dumps(sys.argv[1:]) + "\\n")
words = sys.argv[1:]
failing = os.environ.get("TEST_FAILING", "")
if failing and failing in " ".join(words):
    sys.exit("Error: " + failing + " is not to be had")
"""


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a database that is set up, to be copied."""
    home = tmp_path_factory.mktemp("airflow")
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=environment(home), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return home


@pytest.fixture
def run_dag(airflow_home: Path, tmp_path: Path) -> Callable[..., Ran]:
    """Runs a DAG; spark-submit is a program that writes down how it was called, and fails where it is told to."""
    home, bin_folder, log = tmp_path / "airflow", tmp_path / "bin", tmp_path / "submitted"
    shutil.copytree(airflow_home, home)
    bin_folder.mkdir()
    program = bin_folder / "spark-submit"
    program.write_text(SPARK_SUBMIT.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)

    def run(dag_id: str, conf: dict[str, Any] | None = None, **more: str) -> Ran:
        log.unlink(missing_ok=True)
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [sys.executable, str(Path(__file__).parent / "run_dag.py"), dag_id, json.dumps(conf or {})],
            env=environment(home, PATH=path, L2A_WAREHOUSE=str(tmp_path / "warehouse"), **more),
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        assert results, said[-4000:]
        result = json.loads(results[0].removeprefix("RESULT "))
        calls = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        files = [[word.endswith(".py") for word in call].index(True) for call in calls]
        submitted = [call[file:] for call, file in zip(calls, files, strict=True)]
        options = [call[:file] for call, file in zip(calls, files, strict=True)]
        return Ran(result["state"], result["tasks"], submitted, options, said)

    return run
