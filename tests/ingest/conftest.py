"""Ingestion as the tests call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def take(warehouse: Any) -> Callable[..., Any]:
    """Ingests paths into the test's warehouse; options: mapping, settings (of ingestion), and those of `ingest`."""

    def call(*paths: str, mapping: Any = None, into: Any = None, settings: dict[str, Any] | None = None, **given: Any):
        from l2a.mapping import Mapping, load
        from l2a.settings import IngestSettings
        from spark_jobs.ingest import ingest

        how = mapping if isinstance(mapping, Mapping) else load(mapping)
        return ingest(into or warehouse, list(paths), how, IngestSettings(**(settings or {})), **given)

    return call
