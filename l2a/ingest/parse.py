"""A line into a dialogue or a reason, in Spark's built-in functions.

The line is parsed once, as a variant: mappings reach into it by path, and types are seen before anything is cast.
Spark's JSON reader is more forgiving than a log should be (it takes text after the object and single quotes), so the
line is also read inside an array and inside an object: only one complete JSON value survives both.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from l2a.ingest.plain import MESSAGES, with_plain_messages
from l2a.mapping import Mapping

MALFORMED = "malformed"
"""A line that is no single JSON value; `diagnose` says why."""

BLANK = "blank"
"""A line of nothing but white space: no input line."""

NO_USER_MESSAGE = "no user message: nobody answers the expert"

_YEARS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
"""Microseconds from the year 1 to the year 9999."""

_ISO = r"^\d{4}-\d{2}-\d{2}([T ].+)?$"


def parse(lines: DataFrame, mapping: Mapping, max_message_bytes: int, max_line_bytes: int) -> DataFrame:
    """Adds to lines (value or row) what the mapping finds, and `reason`: null for a good line.

    Columns added: session_id, group, domain, goal, outcome, expert, updated_at, reason, and for documents `messages`
    (array of struct role, content, ts, seq), for events `message` (the struct) and `order` (bigint).
    """
    value = F.col("value")
    small = F.octet_length(value) <= max_line_bytes
    text = F.when(F.is_valid_utf8(value) & small, value)
    parsed = F.coalesce(F.col("row"), F.try_parse_json(text))
    alone = (F.json_array_length(F.concat(F.lit("["), text, F.lit("]"))) == 1) & (
        F.size(F.json_object_keys(F.concat(F.lit('{"v":'), text, F.lit("}")))) == 1
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
    session_id, session_problem = _session(mapping)
    updated_at, updated_problem = _time(_at("v", mapping.fields.updated_at), mapping, "updated_at")
    columns = {
        "session_id": session_id,
        "group": _text(_at("v", mapping.fields.group)),
        "domain": _word(mapping, "domain"),
        "goal": _word(mapping, "goal"),
        "outcome": _outcome(mapping),
        "expert": _word(mapping, "expert"),
        "updated_at": updated_at,
    }
    if mapping.kind == "document":
        messages = _at("v", mapping.fields.messages)
        given = with_plain_messages(given, mapping, max_message_bytes)
        plain = F.col(MESSAGES).isNotNull()
        found = F.transform(
            F.try_variant_get(F.col("v"), str(mapping.fields.messages), "array<variant>"),
            lambda m, i: _message(m, i, mapping, max_message_bytes),
        )
        given = given.withColumn("found", F.when(~plain, found))
        problems = F.filter(F.col("found"), lambda m: m["problem"].isNotNull())
        content_reason = (
            F.when(plain, None)
            .when(_is_null(messages), "no messages: the field is missing or null")
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
        given = given.withColumn("found", _message(F.col("v"), None, mapping, max_message_bytes))
        order = F.coalesce(F.col("found.seq"), F.unix_micros("found.ts"))
        content_reason = F.when(F.col("found.problem").isNotNull(), F.col("found.problem")).when(
            order.isNull(), "event without order: neither a sequence number nor a time"
        )
        columns["message"] = F.struct("found.role", "found.content", "found.ts", "found.seq")
        columns["order"] = order
    reason = F.coalesce(line_reason, session_problem, content_reason, updated_problem)
    return given.withColumns({**columns, "reason": reason}).drop("v", "alone", "found", MESSAGES)


def _at(variant: str | Column, path: str | None) -> Column:
    """What stands at a path, as a variant; null where there is nothing."""
    column = F.col(variant) if isinstance(variant, str) else variant
    return F.lit(None).cast("variant") if path is None else F.try_variant_get(column, path, "variant")


def _is_null(variant: Column) -> Column:
    return variant.isNull() | F.is_variant_null(variant)


def _text(variant: Column) -> Column:
    """A value as text: strings as they are, numbers and the like in JSON's form."""
    return F.when(~_is_null(variant), F.try_variant_get(variant, "$", "string"))


def _word(mapping: Mapping, name: str) -> Column:
    found = _text(_at("v", getattr(mapping.fields, name)))
    constant = getattr(mapping.constants, name)
    return found if constant is None else F.coalesce(found, F.lit(constant))


def _outcome(mapping: Mapping) -> Column:
    found = _word(mapping, "outcome")
    if not mapping.outcomes:
        return found
    result = F.when(found.isNull(), None)
    for theirs, ours in mapping.outcomes.items():
        if theirs != "*":
            result = result.when(found == theirs, ours)
    return result.otherwise(F.lit(mapping.outcomes["*"]) if "*" in mapping.outcomes else found)


def _session(mapping: Mapping) -> tuple[Column, Column]:
    """The session id, and what is wrong with it (null: nothing)."""
    variant = _at("v", mapping.fields.session_id)
    kind = F.schema_of_variant(variant)
    right = kind == "STRING"
    if mapping.numeric_session_ids:
        right = right | (kind == "BIGINT")
    text = F.when(right, F.try_variant_get(variant, "$", "string"))
    problem = (
        F.when(_is_null(variant), "no session id: the field is missing or null")
        .when(~right, F.concat(F.lit("session id of the wrong type: "), F.lower(kind), F.lit(" instead of string")))
        .when(text == "", "no session id: the field is empty")
    )
    return text, problem


def _time(variant: Column, mapping: Mapping, name: str) -> tuple[Column, Column]:
    """A point in time (UTC), and what is wrong with it (null: nothing; a missing time is no problem)."""
    kind = F.schema_of_variant(variant)
    as_text = F.try_variant_get(variant, "$", "string")
    typed = kind.isin("TIMESTAMP", "TIMESTAMP_NTZ", "DATE")
    moment = F.when(typed, F.try_variant_get(variant, "$", "timestamp"))
    if mapping.timestamps == "iso8601":
        moment = moment.when((kind == "STRING") & as_text.rlike(_ISO), as_text.try_cast("timestamp"))
    else:
        per_second = 1_000_000 if mapping.timestamps == "epoch_s" else 1_000
        number = as_text.try_cast("decimal(38,6)")
        # A product may overflow, and a year be one that Python does not know: then the number is no time.
        micros = F.try_multiply(number, F.lit(per_second)).try_cast("bigint")
        micros = F.when(micros.between(*_YEARS), micros)
        moment = moment.when(~kind.startswith("OBJECT") & ~kind.startswith("ARRAY"), F.timestamp_micros(micros))
    said = F.substr(F.coalesce(as_text, kind), F.lit(1), F.lit(60))
    problem = F.when(~_is_null(variant) & moment.isNull(), F.concat(F.lit(f"not a time: {name} is "), said))
    return moment, problem


def _message(variant: Column, index: Column | None, mapping: Mapping, max_bytes: int) -> Column:
    """One message: role, content, ts, seq, and its problem (null: none)."""
    fields = mapping.message
    place = F.lit("") if index is None else F.concat(F.lit(" at message "), (index + 1).cast("string"))

    def said(reason: str | Column) -> Column:
        return F.concat(F.lit(reason) if isinstance(reason, str) else reason, place)

    role_at, content_at = _at(variant, fields.role), _at(variant, fields.content)
    their_role = _text(role_at)
    names = mapping.role_names
    role = F.when(their_role.isNull(), None)
    for theirs, ours in names.items():
        role = role.when(their_role == theirs, ours)
    content_kind = F.schema_of_variant(content_at)
    content = F.when(content_kind == "STRING", F.try_variant_get(content_at, "$", "string"))
    if fields.text_parts:
        content = F.coalesce(content, _joined_parts(content_at, fields.text_parts))
    if fields.tool_calls:
        calls = _at(variant, fields.tool_calls)
        calls_only = _is_null(content_at) & ~_is_null(calls)
        content = F.coalesce(content, F.when(calls_only, F.to_json(calls)))
        role = F.when(calls_only & role.isNotNull(), F.lit("tool")).otherwise(role)
    ts, ts_problem = _time(_at(variant, fields.ts), mapping, "ts")
    sequence_at = _at(variant, fields.sequence)
    seq = F.when(F.schema_of_variant(sequence_at) == "BIGINT", F.try_variant_get(sequence_at, "$", "bigint"))
    problem = (
        F.when(F.try_variant_get(variant, "$", "map<string,variant>").isNull(), said("message is not an object:"))
        .when(_is_null(role_at), said("message without role:"))
        .when(role.isNull(), said(F.concat(F.lit("unknown role: "), F.substr(their_role, F.lit(1), F.lit(60)))))
        .when(content.isNull() & _is_null(content_at), said("message without content:"))
        .when(
            content.isNull(),
            said(
                F.concat(
                    F.lit("content of the wrong type: "), F.lower(F.split_part(content_kind, F.lit("<"), F.lit(1)))
                )
            ),
        )
        .when(F.octet_length(content) > max_bytes, said(f"over the size limit: more than {max_bytes} bytes"))
        .when(ts_problem.isNotNull(), said(ts_problem))
        .when(~_is_null(sequence_at) & seq.isNull(), said("event without order: no whole sequence number"))
    )
    return F.struct(
        role.alias("role"), content.alias("content"), ts.alias("ts"), seq.alias("seq"), problem.alias("problem")
    )


def _joined_parts(content: Column, name: str) -> Column:
    """The texts of a list of parts, one a line; null where content is no list."""
    parts = F.try_variant_get(content, "$", "array<variant>")
    texts = F.transform(parts, lambda part: F.coalesce(F.try_variant_get(part, f"$.{name}", "string"), F.lit("")))
    return F.array_join(F.filter(texts, lambda text: text != ""), "\n")
