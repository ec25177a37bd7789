"""Imports point down only, and the front door stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_NOT_IMPORT = {
    "l2a": ("spark_jobs", "training", "dags", "l2a.cli"),
    "spark_jobs": ("training", "dags", "l2a.cli"),
    "training": ("spark_jobs", "dags", "pyspark", "delta", "l2a.cli"),
    "dags": ("spark_jobs", "training", "l2a.cli", "pyspark", "torch"),
}
HEAVY = (
    "pyspark", "delta", "torch", "transformers", "trl", "sklearn", "pandas", "pyarrow", "duckdb", "deltalake", "mlflow",
    "aiohttp", "vllm", "airflow",
)  # fmt: skip


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, written out in full."""
    package = ".".join(file.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("layer", MAY_NOT_IMPORT)
def test_imports_point_down_only(layer: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in sorted((ROOT / layer).rglob("*.py"))
        for module in imports(file)
        for forbidden in MAY_NOT_IMPORT[layer]
        if module == forbidden or module.startswith(f"{forbidden}.")
    ]
    assert wrong == []


def test_parts_of_the_library_do_not_import_each_other_in_a_circle() -> None:
    above: dict[str, set[str]] = {}
    for file in (ROOT / "l2a").rglob("*.py"):
        part = file.relative_to(ROOT / "l2a").parts[0].removesuffix(".py")
        below = {module.split(".")[1] for module in imports(file) if module.startswith("l2a.")}
        above.setdefault(part, set()).update(below - {part})
    # Its own error names the circle.
    TopologicalSorter(above).prepare()


@pytest.mark.parametrize("module", ["l2a", "l2a.cli", "l2a.settings", "l2a.options", "l2a.mapping"])
def test_importing_the_front_door_brings_in_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_listing_the_commands_imports_none_of_them() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from l2a.cli import main;"
        "done = CliRunner().invoke(main, ['--help']); assert done.exit_code == 0, done.output;"
        f"print([name for name in (*{HEAVY!r}, 'spark_jobs') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
