"""The views of sql/: one a file, written in Spark SQL, and their translation for DuckDB."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import tempfile
from pathlib import Path

import l2a

INSTALLED = Path(l2a.__file__).parent / "_sql"
"""Where the views lie in an installed package; in a checkout they stand at the top, where analysts look."""


def folder() -> Path:
    return INSTALLED if INSTALLED.is_dir() else INSTALLED.parent.parent / "sql"


@functools.cache
def files() -> dict[str, Path]:
    """The view files by name of the view, sorted."""
    return {path.stem: path for path in sorted(folder().glob("*.sql"))}


def spark_sql(name: str) -> str:
    """The view's query as it is written."""
    return files()[name].read_text(encoding="utf-8")


@functools.cache
def duckdb_sql(name: str) -> str:
    """The view's query for DuckDB. Translations are kept: loading the translator takes longer than most queries."""
    text = spark_sql(name)
    kept = _kept(text)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return kept.read_text(encoding="utf-8")
    import sqlglot

    (translated,) = sqlglot.transpile(text, read="spark", write="duckdb", comments=False)
    with contextlib.suppress(OSError):  # a cache that cannot be written only costs the next start half a second
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, written = tempfile.mkstemp(dir=kept.parent)
        with open(handle, "w", encoding="utf-8") as out:
            out.write(translated)
        os.replace(written, kept)
    return translated


def _kept(text: str) -> Path:
    """The file for the translation of `text`: another text or another translator has another one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = importlib.metadata.version("sqlglot")
    return cache / "l2a" / f"view-{hashlib.sha256(f'{version} {text}'.encode()).hexdigest()[:24]}.sql"
