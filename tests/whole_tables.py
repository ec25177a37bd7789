"""Tables that hold exactly some literal rows, written without Spark."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from delta_rows import write


def table(warehouse: Path, name: str, *rows: dict[str, Any]) -> None:
    """Makes these rows all that the table holds; a column that a row does not have is null."""
    shutil.rmtree(warehouse / name, ignore_errors=True)
    write(warehouse, name, rows)
