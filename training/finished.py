"""The row that a finished training leaves in `trainings`, written without Spark."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass

import pyarrow as pa
from deltalake import DeltaTable, Field, Schema
from deltalake.exceptions import CommitFailedError
from deltalake.schema import PrimitiveType

from l2a.tables.contract import VERSION_PROPERTY
from l2a.tables.contracts import TRAININGS

_TYPES = {
    "string": (PrimitiveType("string"), pa.string()),
    "bigint": (PrimitiveType("long"), pa.int64()),
    "double": (PrimitiveType("double"), pa.float64()),
    "timestamp": (PrimitiveType("timestamp"), pa.timestamp("us", tz="UTC")),
}
_TRIES = 5


@dataclass(frozen=True)
class Training:
    """A row of `trainings`; the fields are its columns."""

    condition: str
    training_id: str
    method: str
    recipe: str
    seed: int
    model_version: str
    registry_version: int
    mlflow_run_id: str
    extractor: str
    grader: str | None
    dialogues_version: int
    turns_version: int
    objectives_version: int
    usable_turns: int
    trained_turns: int
    steps: int
    started_at: dt.datetime
    seconds: float


def leave(warehouse: str, training: Training) -> None:
    """Adds the row, unless it is there. Where the same training was registered again, its row is made new, so that a
    condition's newest row is the model that the registry has under its name now."""
    row = {**asdict(training), "created_at": dt.datetime.now(dt.UTC)}
    columns = {column.name: _TYPES[column.type] for column in TRAININGS.columns}
    schema = pa.schema([(name, arrow) for name, (_, arrow) in columns.items()])
    source = pa.Table.from_pylist([row], schema=schema)
    uri = f"{warehouse}/{TRAININGS.name}"
    table = DeltaTable.create(
        uri,
        Schema([Field(c.name, _TYPES[c.type][0], nullable=c.nullable) for c in TRAININGS.columns]),
        mode="ignore",
        configuration={VERSION_PROPERTY: str(TRAININGS.version)},
        raise_if_key_not_exists=False,
    )
    same = " AND ".join(f"there.{column} = new.{column}" for column in TRAININGS.key)
    for attempt in range(_TRIES):
        try:
            merge = table.merge(source, predicate=same, source_alias="new", target_alias="there")
            merge.when_matched_update_all(predicate="there.registry_version <> new.registry_version")
            merge.when_not_matched_insert_all().execute()
            return
        except CommitFailedError:  # another training ended at the same moment
            if attempt == _TRIES - 1:
                raise
            table = DeltaTable(uri)
