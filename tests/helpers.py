"""Literal logs, and tables as plain Python: what the tests of the steps say things with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from l2a.tables.contract import Contract
    from l2a.tables.warehouse import Warehouse


class Killed(BaseException):
    """Stands for kill -9: no handler of errors may see it."""


def open_warehouse(spark: SparkSession, root: Path | str) -> Warehouse:
    from l2a.tables.warehouse import Warehouse

    return Warehouse(spark, str(root))


def as_line(line: Any) -> bytes:
    """One line of a log without its end: bytes and text as they are, everything else as JSON."""
    if isinstance(line, bytes):
        return line
    return (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)).encode()


def dialogue(session_id: Any, *texts: str, **fields: Any) -> dict[str, Any]:
    """A dialogue in the native form: user and expert in turns, the user first."""
    words = texts or ("My card is gone.", "When did you see it last?", "Yesterday.")
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text, "ts": None} for i, text in enumerate(words)]
    return {"session_id": session_id, "messages": messages, **fields}


def rows(warehouse: Warehouse, contract: Contract) -> list[tuple[Any, ...]]:
    """The table's rows in its stable columns, sorted."""
    if not warehouse.exists(contract):
        return []
    found = warehouse.read(contract).select(*contract.stable_columns).collect()
    return sorted((tuple(row) for row in found), key=repr)


def dicts(warehouse: Warehouse, contract: Contract) -> list[dict[str, Any]]:
    """The table's rows as dictionaries, sorted by key."""
    found = [row.asDict(recursive=True) for row in warehouse.read(contract).collect()]
    return sorted(found, key=lambda row: repr([row[name] for name in contract.key]))


def digest_of(warehouse: Warehouse) -> dict[str, str]:
    """Per table a SHA-256 of its sorted stable contents: equal for equal warehouses."""
    from l2a.tables.contracts import ALL

    return {
        contract.name: hashlib.sha256(repr(rows(warehouse, contract)).encode()).hexdigest()
        for contract in ALL
        if warehouse.exists(contract)
    }
