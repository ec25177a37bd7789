"""What a statement is before it runs: whether it only reads, and which tables and views it names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from l2a.errors import UsageError
from l2a.sql.problems import sentence

_EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?", re.IGNORECASE)


def reading(sql: str) -> str:
    """The one statement in `sql`. Raises `UsageError` if there is none, if there are more, or if it does not read."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise UsageError(sentence(error)) from None
    if len(statements) != 1:
        raise UsageError(f"one SQL statement is run at a time, and there are {len(statements) or 'none'}")
    statement = statements[0]
    text = str(statement.query).strip().rstrip(";")
    if statement.type == duckdb.StatementType.EXPLAIN:
        reading(explained(text))  # EXPLAIN ANALYZE runs what it explains
    elif statement.type != duckdb.StatementType.SELECT:
        kind = str(statement.type).rpartition(".")[2].replace("_", " ")
        raise UsageError(f"the warehouse is only read: SELECT, DESCRIBE, SHOW and EXPLAIN run here, {kind} does not")
    return text


def explained(statement: str) -> str:
    """The statement that an EXPLAIN explains; any other one as it is."""
    found = _EXPLAIN.match(statement)
    return statement[found.end() :] if found else statement


def names_in(statement: str) -> set[str]:
    """Names of the tables and views that a reading statement names, in lower case."""
    with duckdb.connect() as parser:
        answer = parser.execute("SELECT json_serialize_sql(?)", [explained(statement)]).fetchone()
    return set(_names(json.loads(answer[0] if answer else "{}"), frozenset()))


def _names(tree: Any, hidden: frozenset[str]) -> Iterator[str]:
    """Names in a syntax tree. hidden: what WITH has given a name to around it, which is no table there.

    A query of that name may read the table of the same name itself, unless it is recursive.
    """
    if isinstance(tree, list):
        for branch in tree:
            yield from _names(branch, hidden)
    if not isinstance(tree, dict):
        return
    if tree.get("type") in ("BASE_TABLE", "SHOW_REF"):
        name = tree["table_name"].strip('"').lower()
        yield from {name} - hidden - {""}
    if tree.get("type") == "RECURSIVE_CTE_NODE":
        hidden |= {tree["cte_name"].lower()}
    for entry in tree.get("cte_map", {}).get("map", ()):
        yield from _names(entry["value"], hidden)
        hidden |= {entry["key"].lower()}
    for key, branch in tree.items():
        if key != "cte_map":
            yield from _names(branch, hidden)
