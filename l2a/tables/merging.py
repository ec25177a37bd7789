"""What a MERGE is given: the rows that are to be there, those that are to go, and how they meet the table's."""

from __future__ import annotations

from typing import NamedTuple

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from l2a.tables.contract import Contract

GONE = "_gone"
"""Marks a row of the source that stands for none: it is never inserted, and what it meets is deleted."""
_LAST = "_last"


class Source(NamedTuple):
    """The source of a MERGE."""

    rows: DataFrame
    """The contract's columns and GONE."""
    on: str
    """SQL over the row that is there, `t`, and the one that comes, `s`. A row that is there meets one at most."""
    deletes: str | None
    """SQL over both: those that are there and meet such a row are deleted. None: nothing is deleted."""


def additions(contract: Contract, rows: DataFrame) -> Source:
    """Rows that replace those of the same key."""
    return Source(rows.withColumn(GONE, F.lit(False)), _same(*contract.key), None)


def replacement(contract: Contract, rows: DataFrame, owned: DataFrame) -> Source:
    """Rows that replace all of `owned`, a part of the table: what else stands there is looked for, and goes."""
    key = list(contract.key)
    gone = owned.select(*key).join(rows.select(*key), key, "left_anti")
    source, on, _ = additions(contract, rows)
    return Source(source.unionByName(gone.withColumn(GONE, F.lit(True)), allowMissingColumns=True), on, f"s.{GONE}")


def numbered_replacement(contract: Contract, rows: DataFrame, scope: DataFrame) -> Source:
    """Rows that replace all that the table holds for a scope, as `Warehouse.replace_numbered` says.

    Each last row meets all that is numbered above it, too.
    """
    *of, number = contract.key
    last = F.max(number).over(Window.partitionBy(*of))
    some = rows.withColumns({GONE: F.lit(False), _LAST: F.col(number) == last})
    none = scope.join(rows.select(*of), of, "left_anti").distinct()
    none = none.withColumns({number: F.lit(0), GONE: F.lit(True), _LAST: F.lit(True)})
    above = f"t.`{number}` > s.`{number}`"
    on = f"{_same(*of)} AND ({_same(number)} OR (s.{_LAST} AND {above}))"
    return Source(some.unionByName(none, allowMissingColumns=True), on, above)


def _same(*columns: str) -> str:
    return " AND ".join(f"t.`{name}` <=> s.`{name}`" for name in columns)
