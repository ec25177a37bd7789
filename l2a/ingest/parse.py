"""A line into a dialogue or a reason, in Spark's built-in functions.

The line is parsed once, as a variant: mappings reach into it by path, and types are seen before anything is cast.
Spark's JSON reader is more forgiving than a log should be (it takes text after the object and single quotes), so the
line is also read inside an array and inside an object: only one complete JSON value survives both.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from l2a.ingest.message import message
from l2a.ingest.plain import MESSAGES, with_plain_messages
from l2a.ingest.variants import at, is_null, text, time, whole_number
from l2a.mapping import Mapping

MALFORMED = "malformed"
"""A line that is no single JSON value; `diagnose` says why."""

BLANK = "blank"
"""A line of nothing but white space: no input line."""

NO_USER_MESSAGE = "no user message: nobody answers the expert"


def parse(lines: DataFrame, mapping: Mapping, max_message_bytes: int, max_line_bytes: int) -> DataFrame:
    """Adds to lines (value or row) what the mapping finds, and `reason`: null for a good line.

    Columns added: session_id, group, domain, goal, outcome, expert, updated_at, reason, and for documents `messages`
    (array of struct role, content, ts, seq), for events `message` (the struct).
    """
    value = F.col("value")
    small = F.octet_length(value) <= max_line_bytes
    readable = F.when(F.is_valid_utf8(value) & small, value)
    parsed = F.coalesce(F.col("row"), F.try_parse_json(readable))
    alone = (F.json_array_length(F.concat(F.lit("["), readable, F.lit("]"))) == 1) & (
        F.size(F.json_object_keys(F.concat(F.lit('{"v":'), readable, F.lit("}")))) == 1
    )
    given = lines.withColumn("v", parsed).withColumn(
        "alone", F.col("row").isNotNull() | F.coalesce(alone, F.lit(False))
    )
    single = F.col("alone") & F.col("v").isNotNull()
    line_reason = (
        F.when(F.col("row").isNotNull() | (single & F.startswith(F.ltrim(value, F.lit(" \t\r")), F.lit("{"))), None)
        .when(single, "not an object: the line holds another JSON value")
        .when(F.rlike(value, F.lit(r"^\s*$")), BLANK)
        .when(~F.is_valid_utf8(value), "not UTF-8: bytes that are no text")
        .when(~small, f"over the size limit: a line of more than {max_line_bytes} bytes")
        .otherwise(MALFORMED)
    )
    session_id, session_problem = session(F.col("v"), mapping)
    updated_at, updated_problem = time(at("v", mapping.fields.updated_at), mapping, "updated_at")
    columns = {
        "session_id": session_id,
        # An empty one is nobody's: as a group of its own it would put all such sessions into one split.
        "group": F.nullif(text(at("v", mapping.fields.group)), F.lit("")),
        "domain": _word(mapping, "domain"),
        "goal": _word(mapping, "goal"),
        "outcome": _outcome(mapping),
        "expert": _word(mapping, "expert"),
        "updated_at": updated_at,
    }
    if mapping.kind == "document":
        messages = at("v", mapping.fields.messages)
        given = with_plain_messages(given, mapping, max_message_bytes)
        plain = F.col(MESSAGES).isNotNull()
        found = F.transform(
            F.try_variant_get(F.col("v"), str(mapping.fields.messages), "array<variant>"),
            lambda m, i: message(m, i, mapping, max_message_bytes),
        )
        given = given.withColumn("found", F.when(~plain, found))
        problems = F.filter(F.col("found"), lambda m: m["problem"].isNotNull())
        content_reason = (
            F.when(plain, None)
            .when(is_null(messages), "no messages: the field is missing or null")
            .when(F.col("found").isNull(), "messages is not a list: the field holds another JSON value")
            .when(F.size("found") == 0, "no messages: the list is empty")
            .when(F.size(problems) > 0, F.get(problems, F.lit(0))["problem"])
            .when(~F.exists("found", lambda m: m["role"] == "user"), NO_USER_MESSAGE)
        )
        careful = F.transform(
            F.col("found"),
            lambda m: F.struct(
                m["role"].alias("role"), m["content"].alias("content"), m["ts"].alias("ts"), m["seq"].alias("seq")
            ),
        )
        columns["messages"] = F.when(plain, F.col(MESSAGES)).otherwise(careful)
    else:
        given = given.withColumn("found", message(F.col("v"), None, mapping, max_message_bytes))
        content_reason = F.when(F.col("found.problem").isNotNull(), F.col("found.problem")).when(
            F.col("found.seq").isNull() & F.col("found.ts").isNull(),
            "event without order: neither a sequence number nor a time",
        )
        columns["message"] = F.struct("found.role", "found.content", "found.ts", "found.seq")
    reason = F.coalesce(line_reason, session_problem, content_reason, updated_problem)
    return given.withColumns({**columns, "reason": reason}).drop("v", "alone", "found", MESSAGES)


def _word(mapping: Mapping, name: str) -> Column:
    found = text(at("v", getattr(mapping.fields, name)))
    constant = getattr(mapping.constants, name)
    return found if constant is None else F.coalesce(found, F.lit(constant))


def _outcome(mapping: Mapping) -> Column:
    if not mapping.outcomes:
        return _word(mapping, "outcome")
    found = text(at("v", mapping.fields.outcome))
    # Any other word of the log, that is: what the log does not say is no word of it.
    constant = mapping.constants.outcome
    result = F.when(found.isNull(), None if constant is None else mapping.outcomes.get(constant, constant))
    for theirs, ours in mapping.outcomes.items():
        if theirs != "*":
            result = result.when(found == theirs, ours)
    return result.otherwise(F.lit(mapping.outcomes["*"]) if "*" in mapping.outcomes else found)


def session(line: Column, mapping: Mapping) -> tuple[Column, Column]:
    """The session id of a parsed line, and what is wrong with it (null: nothing)."""
    variant = at(line, mapping.fields.session_id)
    kind = F.schema_of_variant(variant)
    found = F.when(kind == "STRING", F.try_variant_get(variant, "$", "string"))
    if mapping.numeric_session_ids:
        found = F.coalesce(found, whole_number(variant).cast("string"))
    problem = (
        F.when(is_null(variant), "no session id: the field is missing or null")
        .when(
            found.isNull(),
            F.concat(F.lit("session id of the wrong type: "), F.lower(kind), F.lit(" instead of string")),
        )
        .when(found == "", "no session id: the field is empty")
    )
    return found, problem
