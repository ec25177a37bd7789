"""Reading and writing the tables of a warehouse with Spark and Delta.

Every write is one Delta commit: a MERGE on the contract's key, or an append under a name of its own (Delta's idempotent
writes). Repeating it changes nothing, and of two writers that meet, Delta lets one win and the other starts over.
Nothing is written that would break a contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from delta import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import types as T
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from l2a.errors import ContractBroken, TableIncompatible, TableMissing
from l2a.places import from_root
from l2a.tables.conflicts import CONFLICTS
from l2a.tables.contract import Contract, check_version
from l2a.tables.creation import contract_version, create, schema
from l2a.tables.merging import GONE, Source, additions, numbered_replacement, replacement

STEP_BEFORE = {
    "dialogues": "l2a ingest PATH",
    "turns": "l2a slice",
    "objectives": "l2a extract",
    "rollouts": "l2a rollout --condition NAME",
    "grades": "l2a grade",
    "judges": "l2a fit-judge",
}


class Warehouse:
    """The tables under one folder or URL, through one Spark session."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self.root = from_root(root)
        self._checked: set[str] = set()

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def exists(self, contract: Contract) -> bool:
        return DeltaTable.isDeltaTable(self.spark, self.path(contract.name))

    def read(self, contract: Contract) -> DataFrame:
        """The table in the contract's columns. Raises `TableMissing` where no step has written it yet."""
        if not self.exists(contract):
            step = STEP_BEFORE.get(contract.name)
            hint = f": run `{step}` first" if step else ""
            raise TableMissing(f"the warehouse {self.root} has no table {contract.name} yet{hint}")
        self.ensure(contract)
        return self.spark.read.format("delta").load(self.path(contract.name)).select(*contract.column_names)

    def read_or_empty(self, contract: Contract) -> DataFrame:
        """As `read`, but a table that is not there yet reads as one without rows."""
        if self.exists(contract):
            return self.read(contract)
        return self.spark.createDataFrame([], schema(contract))

    def version(self, contract: Contract) -> int:
        """The table's Delta version; -1 where it is not there yet."""
        if not self.exists(contract):
            return -1
        row = DeltaTable.forPath(self.spark, self.path(contract.name)).history(1).select("version").first()
        return -1 if row is None else int(row["version"])

    def ensure(self, contract: Contract) -> None:
        """Creates the table, or adds the columns that an older l2a did not know.

        Raises `TableIncompatible` for a table of a newer l2a, of another type in some column, or of another program.
        """
        if contract.name in self._checked:
            return
        if not self.exists(contract):
            create(self.spark, self.path(contract.name), contract)
        else:
            self._upgrade_or_refuse(contract)
        self._checked.add(contract.name)

    def _upgrade_or_refuse(self, contract: Contract) -> None:
        path = self.path(contract.name)
        written_by = contract_version(self.spark, path)
        if written_by is None:
            raise TableIncompatible(f"{path} is a Delta table that l2a did not make; choose another --warehouse")
        check_version(contract, path, written_by)
        there = {field.name: field.dataType for field in self.spark.read.format("delta").load(path).schema.fields}
        for field in schema(contract).fields:
            if field.name not in there:
                self._add_column(contract, field)
            elif not _same_type(there[field.name], field.dataType):
                raise TableIncompatible(
                    f"{path}: column {field.name} is {there[field.name].simpleString()}, this l2a needs "
                    f"{field.dataType.simpleString()}; ingest the logs into a new --warehouse"
                )

    def replace(
        self,
        contract: Contract,
        rows: DataFrame,
        *,
        scope: DataFrame | None = None,
        within: str = "true",
        unique: bool = False,
    ) -> None:
        """Makes `rows` all that the table holds for a scope: inserts, updates what differs, deletes what is no more.

        scope: what `rows` speaks for, mostly the sessions (column session_id); None: all of the table.
        within: SQL condition on the table that limits what may be deleted further, such as "extractor = 'x'".
        unique: the caller's query can give each key only once, so that the check, which costs a pass, is left out.

        Raises `ContractBroken`, with nothing committed, when a key comes twice or an invariant does not hold.
        """
        self.ensure(contract)
        # Looked at several times, and not always cheap to make. What the caller holds already is left to him: giving up
        # the same columns here would give up his.
        held = rows.storageLevel.useMemory or rows.storageLevel.useDisk
        rows = rows.select(*contract.column_names)
        if not held:
            rows.persist()
        try:
            if not unique:
                self._check_key(contract, rows)

            def source() -> Source:
                owned = self.read(contract).where(within)
                if scope is None:
                    return replacement(contract, rows, owned) if owned.inputFiles() else additions(contract, rows)
                return replacement(contract, rows, owned.join(scope, scope.columns, "left_semi"))

            self._merge(contract, source)
        finally:
            if not held:
                rows.unpersist()

    def replace_numbered(self, contract: Contract, rows: DataFrame, scope: DataFrame) -> None:
        """As `replace`, where the key's last column counts the rows of each of its other columns from 1, without a gap.

        scope: what `rows` speaks for: the key's other columns. The table is not searched for what is no more: it is
        what has a higher number than the last row.

        Raises `ContractBroken`, with nothing committed, when an invariant does not hold.
        """
        self.ensure(contract)
        rows = rows.select(*contract.column_names)
        self._merge(contract, lambda: numbered_replacement(contract, rows, scope))

    def upsert(
        self,
        contract: Contract,
        rows: DataFrame,
        *,
        only_if: str = "true",
        combine: Mapping[str, str] | None = None,
        unique: bool = False,
    ) -> None:
        """Inserts rows with new keys, and changes those that differ and for which `only_if` holds. Deletes nothing.

        only_if: SQL condition over the row that is there, `t`, and the one that comes, `s`.
        combine: columns that a changed row makes of both, as SQL over `t` and `s`; they count as a difference.
        unique: the caller's query can give each key only once, so that the check, which costs a pass, is left out.

        Raises `ContractBroken`, with nothing committed, when a key comes twice or an invariant does not hold.
        """
        rows = rows.select(*contract.column_names)
        self.ensure(contract)
        if not unique:
            self._check_key(contract, rows)
        self._merge(contract, lambda: additions(contract, rows), only_if=only_if, combine=combine)

    def append_once(self, contract: Contract, rows: DataFrame, name: str) -> None:
        """Appends rows under a name; a later append under the same name does nothing, in any process.

        The name must determine the keys: it is what keeps them unique. Raises `ContractBroken` as `upsert` does.
        """
        self.ensure(contract)
        writer = rows.select(*contract.column_names).write.format("delta").mode("append")
        writer = writer.option("txnAppId", name).option("txnVersion", "1")
        self._commit(contract, lambda: writer.save(self.path(contract.name)))

    def _add_column(self, contract: Contract, field: T.StructField) -> None:
        added = f"`{field.name}` {field.dataType.simpleString()}"
        self.spark.sql(f"ALTER TABLE delta.`{self.path(contract.name)}` ADD COLUMNS ({added})")

    def _check_key(self, contract: Contract, rows: DataFrame) -> None:
        twice = rows.groupBy(*contract.key).count().where("count > 1").first()
        if twice is not None:
            key = ", ".join(f"{name} = {twice[name]!r}" for name in contract.key)
            raise ContractBroken(
                f"{contract.name}: {twice['count']} rows have the key {key}, and the table holds {contract.grain} "
                "Nothing was written."
            )

    def _merge(
        self,
        contract: Contract,
        source: Callable[[], Source],
        *,
        only_if: str = "true",
        combine: Mapping[str, str] | None = None,
    ) -> None:
        combine = combine or {}
        incoming = {name: f"s.`{name}`" for name in contract.column_names}
        changed: dict[str, str | Column] = {**incoming, **combine}
        values: dict[str, str | Column] = {**incoming}
        told_apart = [name for name in (*contract.stable_columns, *combine) if name not in contract.key]
        differs = " OR ".join(f"NOT (t.`{name}` <=> {changed[name]})" for name in told_apart)

        def merge() -> None:
            rows, on, deletes = source()
            into = DeltaTable.forPath(self.spark, self.path(contract.name)).alias("t").merge(rows.alias("s"), on)
            if deletes is not None:
                into = into.whenMatchedDelete(deletes)
            if differs:
                into = into.whenMatchedUpdate(f"NOT s.{GONE} AND ({differs}) AND ({only_if})", set=changed)
            into.whenNotMatchedInsert(f"NOT s.{GONE}", values=values).execute()

        self._commit(contract, merge)

    def _commit(self, contract: Contract, write: Callable[[], None]) -> None:
        """Runs a write again when another writer was faster, and says which promise a refused one would break."""
        again = retry(
            retry=retry_if_exception_type(CONFLICTS),
            stop=stop_after_attempt(8),
            wait=wait_random_exponential(max=20),
            reraise=True,
        )
        try:
            again(write)()
        except (PySparkException, Py4JJavaError) as error:
            if broken := _violated(contract, str(error)):
                raise ContractBroken(f"{contract.name}: {broken}. Nothing was written.") from error
            raise


def sql_text(text: str) -> str:
    """A text as a literal of Spark SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _same_type(there: T.DataType, wanted: T.DataType) -> bool:
    """Nullability inside arrays and structs is not kept by every writer, and not what a type is about."""
    return there.simpleString() == wanted.simpleString()


def _violated(contract: Contract, message: str) -> str | None:
    """The sentence of the contract that a failed commit names; None for failures of another kind."""
    if "DELTA_VIOLATE_CONSTRAINT" in message or "CHECK constraint" in message:
        for invariant in contract.invariants:
            if invariant.name in message:
                return f"a row breaks '{invariant.meaning}' ({invariant.sql})"
        return "a row breaks a check of the table"
    if "DELTA_NOT_NULL_CONSTRAINT_VIOLATED" in message or "NOT NULL constraint" in message:
        return "a row has null in a column that must hold a value: " + message.splitlines()[0]
    return None
