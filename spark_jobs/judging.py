"""Which judge a step uses, and the judge inside Spark's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from l2a.dialogue.types import Message
from l2a.errors import UsageError
from l2a.judge import store
from l2a.judge.embedded.text import MAX_CHARS
from l2a.judge.protocols import Dialogue, Judgement, Question
from l2a.tables.contracts import GRADES, JUDGES, OBJECTIVES
from l2a.tables.warehouse import Warehouse

if TYPE_CHECKING:
    from l2a.judge.embedded import EmbeddedJudge

JUDGED = "judged_r_a double, judged_asks boolean, judged_item int, judged_error string"
"""What a grader says of a rollout, as Spark columns."""
Batches = Iterator[pa.RecordBatch]
Kind = Literal["extractor", "grader"]


def newest_judge(warehouse: Warehouse) -> Row | None:
    """The newest row of `judges` that this version of l2a can load."""
    return _loadable(warehouse).orderBy(F.col("created_at").desc(), "name").first()


def _loadable(warehouse: Warehouse) -> DataFrame:
    from l2a.judge.embedded import JUDGE_VERSION

    return warehouse.read_or_empty(JUDGES).where(F.col("judge_version") == JUDGE_VERSION)


def resolve(warehouse: Warehouse, wanted: str, kind: Kind) -> str:
    """The full name of the judge that `wanted` (embedded, llm, or a full name) means to a step that reads its rows.

    `llm` means the only LLM judge of that kind in the warehouse. Raises `UsageError` for a name that no judge has, and
    where none is fitted yet or several could be meant.
    """
    if wanted.startswith("llm"):
        return _llm_judge_there(warehouse, wanted, kind)
    if wanted == "embedded":
        newest = newest_judge(warehouse)
        if newest is None:
            raise UsageError("no embedded judge is fitted yet: run `l2a fit-judge` (`l2a extract` does it by itself)")
        return str(newest["name"])
    if _loadable(warehouse).where(F.col("name") == wanted).isEmpty():
        raise UsageError(
            f"--{kind} {wanted}: no judge of that name that this l2a can load; "
            "use `embedded` or a name in the table judges"
        )
    return wanted


def _llm_judge_there(warehouse: Warehouse, wanted: str, kind: Kind) -> str:
    rows = warehouse.read_or_empty(OBJECTIVES if kind == "extractor" else GRADES)
    found = sorted(row[0] for row in rows.select(kind).distinct().where(F.col(kind).startswith("llm:")).collect())
    if wanted in found:
        return wanted
    if wanted == "llm" and len(found) == 1:
        return found[0]
    there = ", ".join(found) or "none"
    raise UsageError(f"--{kind} {wanted}: give the full name of an LLM {kind} whose rows are there; there are: {there}")


def read_of(messages: str) -> Column:
    """The column of messages without what the embedded judge never reads of long ones: it need not travel."""
    return F.transform(
        messages, lambda m: F.struct(m["role"].alias("role"), F.substring(m["content"], 1, MAX_CHARS).alias("content"))
    ).alias(messages)


def _worker(warehouse: Warehouse, name: str) -> Callable[[], EmbeddedJudge]:
    shipped = warehouse.spark.sparkContext.broadcast(store.read(warehouse.spark, warehouse.root, name))
    return lambda: store.load(shipped.value)


def extract_facts(warehouse: Warehouse, name: str, dialogues: DataFrame) -> DataFrame:
    """Adds `facts` and `error` (one of them null) to session_id and dialogue_version of dialogues."""
    judge = _worker(warehouse, name)

    def run(batches: Batches) -> Batches:
        extractor = judge().extractor
        for batch in batches:
            rows = batch.to_pylist()
            given = [Dialogue(messages_of(row["messages"]), row["domain"], row["goal"]) for row in rows]
            found = each(extractor.extract, given)
            yield pa.RecordBatch.from_pylist(
                [
                    {
                        "session_id": row["session_id"],
                        "dialogue_version": row["dialogue_version"],
                        "facts": None
                        if isinstance(facts, Exception)
                        else [
                            {"message_index": f.message_index, "attribute": f.attribute, "value": f.value}
                            for f in facts
                        ],
                        "error": f"extractor: {facts}" if isinstance(facts, Exception) else None,
                    }
                    for row, facts in zip(rows, found, strict=True)
                ],
                schema=_FACTS,
            )

    columns = ("session_id", "dialogue_version", "domain", "goal")
    return _spread(warehouse, dialogues.select(*columns, read_of("messages"))).mapInArrow(
        run,
        "session_id string, dialogue_version string, "
        "facts array<struct<message_index:int,attribute:string,value:string>>, error string",
    )


def judge_questions(warehouse: Warehouse, name: str, asked: DataFrame, key: list[str]) -> DataFrame:
    """Judges rows with key, text, information, context, domain, goal, future: key and the columns of JUDGED."""
    judge = _worker(warehouse, name)

    def run(batches: Batches) -> Batches:
        grader = judge().grader
        for batch in batches:
            rows = batch.to_pylist()
            given = [
                Question(
                    row["text"],
                    row["information"],
                    messages_of(row["context"]),
                    row["domain"],
                    row["goal"],
                    messages_of(row["future"]),
                )
                for row in rows
            ]
            found = [
                Judgement(None, None, f"grader: {one}") if isinstance(one, Exception) else one
                for one in each(grader.grade, given)
            ]
            answers = pa.table(
                {
                    "judged_r_a": pa.array([one.r_a for one in found], pa.float64()),
                    "judged_asks": pa.array([one.asks for one in found], pa.bool_()),
                    "judged_item": pa.array([one.item for one in found], pa.int32()),
                    "judged_error": pa.array([one.error for one in found], pa.string()),
                }
            )
            kept = pa.Table.from_batches([batch]).select(key)
            for column in answers.column_names:
                kept = kept.append_column(column, answers.column(column))
            yield from kept.to_batches()

    types = ", ".join(f"`{name}` {asked.schema[name].dataType.simpleString()}" for name in key)
    schema = f"{types}, {JUDGED}"
    columns = ("text", "information", "domain", "goal")
    read = asked.select(*key, *columns, read_of("context"), read_of("future"))
    return _spread(warehouse, read).mapInArrow(run, schema)


def each(
    answer: Callable[[list[Any]], list[Any]], given: list[Any], stops: tuple[type[Exception], ...] = ()
) -> list[Any]:
    """The answers to a batch; one that cannot be answered costs its own row only, as the exception in its place.

    stops: errors that are no row's but the whole batch's, and so are raised.
    """
    try:
        return answer(given)
    except stops:
        raise
    except Exception:
        found: list[Any] = []
        for one in given:
            try:
                found += answer([one])
            except Exception as error:
                found.append(error)
        return found


def messages_of(rows: list[dict[str, Any]]) -> list[Message]:
    """Messages of a row as Spark gives it."""
    return [Message(row["role"], row["content"]) for row in rows]


def _spread(warehouse: Warehouse, rows: DataFrame) -> DataFrame:
    """Over all cores, in an order of its own: small tables would otherwise be one task."""
    return rows.repartition(warehouse.spark.sparkContext.defaultParallelism)


_FACTS = pa.schema(
    [
        ("session_id", pa.string()),
        ("dialogue_version", pa.string()),
        (
            "facts",
            pa.list_(pa.struct([("message_index", pa.int32()), ("attribute", pa.string()), ("value", pa.string())])),
        ),
        ("error", pa.string()),
    ]
)
