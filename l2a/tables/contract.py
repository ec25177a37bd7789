"""What a table promises: its grain in a sentence, its key, its columns with their meaning, its invariants.

From a contract come the table's schema, the checks that Delta makes before it commits, the documentation page, and the
answer to "are these two tables equal" (equal without the volatile columns).
"""

from __future__ import annotations

from dataclasses import dataclass

from l2a.errors import TableIncompatible

VERSION_PROPERTY = "l2a.contract.version"
"""The table property that says under which version of its contract a table was made."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is Spark SQL DDL; `volatile` ones may differ between two runs over the same input."""

    name: str
    type: str
    meaning: str
    nullable: bool = False
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class Invariant:
    """A boolean SQL expression that is true (or null) for every row, and the sentence that it stands for."""

    name: str
    sql: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Contract:
    """A table's promise. The key is unique; `version` rises when a column changes its type or meaning."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    invariants: tuple[Invariant, ...] = ()
    version: int = 1
    made_by: str | None = None
    """The command that makes all of it anew from other tables; None: what it holds is nowhere else."""
    tracks_changes: bool = False
    """Whether steps read from it what changed since they last ran (Delta's change data feed)."""

    def __post_init__(self) -> None:
        missing = set(self.key) - set(self.column_names)
        if missing:
            raise ValueError(f"{self.name}: key columns {sorted(missing)} are not columns")

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def stable_columns(self) -> tuple[str, ...]:
        """The columns that two runs over the same input agree on."""
        return tuple(column.name for column in self.columns if not column.volatile)

    @property
    def ddl(self) -> str:
        """The schema as Spark SQL DDL, one string."""
        return ", ".join(f"`{c.name}` {c.type}{'' if c.nullable else ' NOT NULL'}" for c in self.columns)


def check_version(contract: Contract, where: str, written_by: int) -> None:
    """Raises `TableIncompatible` where the table at `where`, of that version of its contract, would be misread."""
    if written_by > contract.version:
        raise TableIncompatible(
            f"{where} was written by a newer l2a (contract {written_by}, known {contract.version}): upgrade l2a"
        )
    if written_by == contract.version:
        return
    anew = (
        f"remove it and run `{contract.made_by}`"
        if contract.made_by
        else "ingest the logs into a new --warehouse (copy the folder llm_calls there first, and no call is paid twice)"
    )
    raise TableIncompatible(
        f"{where} was written by an older l2a (contract {written_by}, needed {contract.version}) in which a column "
        f"meant something else: {anew}"
    )


def one_of(column: str, *values: str) -> Invariant:
    """The invariant that a column holds one of a few words."""
    listed = ", ".join(f"'{value}'" for value in values)
    return Invariant(f"{column}_known", f"{column} IN ({listed})", f"{column} is one of {', '.join(values)}")


def value_or_error(*value_columns: str) -> tuple[Invariant, ...]:
    """`status` is ok or failed; a failed row has an error, and null where the value would stand."""
    nulls = " AND ".join(f"{column} IS NULL" for column in value_columns)
    return (
        one_of("status", "ok", "failed"),
        Invariant("failed_has_error", "(status = 'failed') = (error IS NOT NULL)", "only failed rows have an error"),
        Invariant(
            "failed_has_no_value", f"status = 'ok' OR ({nulls})", f"failed rows hold null in {', '.join(value_columns)}"
        ),
    )
