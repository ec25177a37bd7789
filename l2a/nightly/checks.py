"""Whether tables say what they must, as a list of findings: for one night, or for the whole warehouse.

A night's checks look only at what came with it: other nights may be under way beside it, and what is wrong with them
does not make it red. Whether keys are unique, and all else that takes every row, is looked at for the whole warehouse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from l2a.settings import NightlySettings
from l2a.sql.engine import connect, query
from l2a.sql.types import literal, quoted
from l2a.tables.contracts import ALL

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# What `table_reconciliation` asks of all turns, of the dialogues of one night.
_WRONG_TURNS = """
SELECT count(*) AS found
FROM (
  SELECT t.session_id
  FROM turns t
  SEMI JOIN dialogues d ON d.session_id = t.session_id AND d.source LIKE {landed}
  GROUP BY t.session_id
  HAVING count(*) FILTER (WHERE t.is_final) <> 1
    OR count(DISTINCT t.dialogue_version) <> 1
    OR min(t.turn) <> 1
    OR max(t.turn) <> count(*)
)
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    about: str
    ok: bool
    says: str
    todo: str = ""
    """The command that helps, where one does."""


def check_night(warehouse: str, night: str, settings: NightlySettings) -> list[Finding]:
    """The checks of one night (YYYY-MM-DD)."""
    connection = connect(warehouse)
    found = _rows(connection, f"SELECT * FROM night_intake WHERE night = {literal(night)}")
    if not found:
        return [
            Finding(
                "the night's files",
                False,
                f"no log file of dt={night} was read",
                f"l2a ingest {settings.landing} --date {night}"
                + (f" --mapping {settings.mapping}" if settings.mapping else ""),
            )
        ]
    wrong = _rows(connection, _WRONG_TURNS.format(landed=literal(f"%dt={night}%")))[0]["found"]
    whole = Finding("turns add up to their dialogues", wrong == 0, f"in {wrong:,} they do not", "l2a slice --all")
    return [*_night(found[0], settings), whole]


def check_warehouse(warehouse: str) -> list[Finding]:
    """All promises between tables, also those that hold only while no step is under way, and all keys."""
    connection = connect(warehouse)
    return [*_promises(connection, "broken"), *_promises(connection, "waiting"), *_keys(connection)]


def _night(row: dict[str, Any], settings: NightlySettings) -> Iterator[Finding]:
    lines, rejected = row["lines"] or 0, row["quarantined_lines"] or 0
    yield Finding(
        "every line is accounted for",
        row["difference"] == 0,
        f"{row['files']} files, {lines:,} lines, difference {row['difference']}",
        "l2a status",
    )
    share = row["quarantined_share"] or 0.0
    yield Finding(
        "rejected lines",
        share <= settings.max_quarantined_share,
        f"{rejected:,} of {lines:,} ({share:.1%}), allowed are {settings.max_quarantined_share:.1%}; the rest is kept",
        'l2a sql "SELECT * FROM quarantine_reasons"',
    )
    yield Finding(
        "dialogues are sliced",
        row["unsliced"] == 0,
        f"{row['unsliced']:,} of {row['dialogues']:,} are not",
        "l2a slice",
    )
    yield Finding(
        "usable turns have objectives",
        row["unextracted"] == 0,
        f"{row['unextracted']:,} of {row['turns']:,} have none",
        "l2a extract",
    )
    failed = row["extraction_failed"] / row["turns"] if row["turns"] else 0.0
    yield Finding(
        "failed extractions",
        failed <= settings.max_failed_extractions,
        f"{row['extraction_failed']:,} of {row['turns']:,} turns ({failed:.1%}), "
        f"allowed are {settings.max_failed_extractions:.1%}",
        "l2a extract",
    )


def _promises(connection: DuckDBPyConnection, kind: str) -> Iterator[Finding]:
    for row in _rows(connection, f"SELECT * FROM table_reconciliation WHERE kind = {literal(kind)} ORDER BY what"):
        yield Finding(row["what"], row["found"] == 0, f"{row['found']:,}", row["next_step"])


def _keys(connection: DuckDBPyConnection) -> Iterator[Finding]:
    """Writers keep keys unique; this looks whether something else has written."""
    doubled = []
    for contract in ALL:
        key = ", ".join(quoted(name) for name in contract.key)
        # A key may hold null (a line whose number is not known): such rows are told apart by nothing.
        known = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in contract.key)
        sql = f"SELECT {key} FROM {quoted(contract.name)} WHERE {known} GROUP BY {key} HAVING count(*) > 1"
        if twice := _rows(connection, f"SELECT count(*) AS found FROM ({sql}) doubled")[0]["found"]:
            doubled.append(f"{contract.name}: {twice:,} come twice")
    yield Finding(
        "keys are unique", not doubled, "; ".join(doubled) or f"in {len(ALL)} tables", "l2a maintain --only contracts"
    )


def _rows(connection: DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    return list(query(connection, sql).dicts())
