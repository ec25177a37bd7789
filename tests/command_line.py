"""The real command line in processes of its own, and what a warehouse holds after it: no Spark in this process."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from small_spark import JVM

from l2a.sql.engine import connect, query
from l2a.tables.contracts import ALL, RUNS

SMALL = {
    "L2A_SPARK__MASTER": "local[2]",
    "L2A_SPARK__DRIVER_MEMORY": "1g",
    "L2A_SPARK__CONF": json.dumps(JVM),
    "OMP_NUM_THREADS": "1",
}
"""Settings of the command line's own processes: a small machine's, as environment variables."""
SMALL_JUDGE = {"L2A_JUDGE__SIZE": "small"}
"""Its fit takes seconds of the minutes that the usual one does."""


def environment(**more: str) -> dict[str, str]:
    """This process's environment without its own l2a settings, with those for small queries."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("L2A_", "PYSPARK_"))}
    return {**inherited, **SMALL, **more}


def words(*arguments: str | Path) -> list[str]:
    """`l2a ARGUMENTS` as a command that needs nothing on PATH."""
    return [sys.executable, "-m", "l2a.cli", *map(str, arguments)]


def l2a(*arguments: str | Path, expected: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs `l2a ARGUMENTS` to its end; another exit code than the expected one fails the test with all that it said."""
    done = subprocess.run(words(*arguments), env=environment(**more), capture_output=True, text=True, check=False)
    assert done.returncode == expected, f"l2a {arguments}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def contents(warehouse: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every table's rows in its stable columns, sorted; of `runs` those that finished well."""
    connection = connect(str(warehouse))
    found = {}
    for contract in ALL:
        columns = ", ".join(f'"{name}"' for name in contract.stable_columns)
        where = "WHERE status = 'ok'" if contract is RUNS else ""
        rows = query(connection, f"SELECT {columns} FROM {contract.name} {where}").rows
        found[contract.name] = sorted(rows, key=repr)
    return found


def digests(warehouse: Path) -> dict[str, str]:
    """SHA-256 of each table's sorted stable contents."""
    return {name: hashlib.sha256(repr(rows).encode()).hexdigest() for name, rows in contents(warehouse).items()}


def versions(warehouse: Path) -> dict[str, int]:
    """The Delta version of each table that is there."""
    from deltalake import DeltaTable

    folders = sorted(path.parent for path in warehouse.glob("*/_delta_log"))
    return {folder.name: DeltaTable(str(folder)).version() for folder in folders}
