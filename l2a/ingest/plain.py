"""The common case of a document's messages, compiled: every message has a text, a role by our own name and a good time.

The careful way (`message`) looks at each message by itself, in functions over arrays that Spark interprets; it
knows every form and names every fault. This way casts all messages at once and is about ten times faster. It is taken
only where the types of all messages show that the careful way would find the same messages and no fault; a test holds
the two together.
"""

from __future__ import annotations

import re

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from l2a.mapping import Mapping, several

MESSAGES = "plain_messages"
"""The messages (array of struct role, content, ts, seq) where they are plain, else null."""

_KINDS, _CAST, _TIMES = "_kinds", "_cast", "_times"
_NO_TIME, _NO_SEQUENCE = "(no time)", "(no sequence)"
"""Names that no message has: their values are null."""
_TIME = r"\d{4}-\d{2}-\d{2}(?:[T ][^,]+)?"
_ONLY_TIMES = f"^{_TIME}(?:,{_TIME})*+$"
"""Possessive: Java's regular expressions recurse for every round of a repeated group that may be taken back, and a
dialogue of a thousand messages would overflow the stack."""


def with_plain_messages(rows: DataFrame, mapping: Mapping, max_message_bytes: int) -> DataFrame:
    """Adds MESSAGES to rows with the parsed document as the variant `v`."""
    names = _names(mapping)
    ours = [theirs for theirs, role in mapping.role_names.items() if theirs == role]
    if names is None or not ours or mapping.fields.messages is None or mapping.timestamps != "iso8601":
        return rows.withColumn(MESSAGES, F.lit(None).cast(_TYPE))
    role, content, ts = names
    path = mapping.fields.messages
    shape = f"array<struct<`{role}` string, `{content}` string, `{ts}` string, `{_NO_SEQUENCE}` bigint>>"
    kinds = F.schema_of_variant(F.try_variant_get("v", path, "variant"))
    rows = rows.withColumns({_KINDS: kinds, _CAST: F.try_variant_get("v", path, shape)})
    rows = rows.withColumn(_TIMES, F.array_compact(f"{_CAST}.`{ts}`"))
    roles, contents, times = F.col(f"{_CAST}.`{role}`"), F.col(f"{_CAST}.`{content}`"), F.col(_TIMES)
    size = F.size(_CAST)
    listed = F.array_join(times, ",")
    plain = (
        F.col(_KINDS).rlike(r"^ARRAY<OBJECT<[^<>]*>>$")
        & _has(role, "STRING")
        & _has(content, "STRING")
        & (_has(ts, "(STRING|VOID)") | ~_has(ts, "[^,>]+"))
        & (F.size(F.array_compact(roles)) == size)
        & (F.size(F.array_compact(contents)) == size)
        & (F.size(F.array_except(roles, F.array(*map(F.lit, ours)))) == 0)
        & F.array_contains(F.array(*map(F.lit, ours)), "user")
        & F.array_contains(roles, "user")
        & (F.octet_length(F.array_join(contents, "")) <= max_message_bytes)
        & ((listed == "") | listed.rlike(_ONLY_TIMES))
        & (F.size(F.array_compact(times.try_cast("array<timestamp>"))) == F.size(times))
    )
    for other in _others(mapping):
        plain = plain & ~_has(other, "(?!VOID[,>])[^,>]+")
    return rows.withColumn(MESSAGES, F.when(plain, F.col(_CAST).cast(_TYPE))).drop(_KINDS, _CAST, _TIMES)


_TYPE = "array<struct<role:string,content:string,ts:timestamp,seq:bigint>>"


def _names(mapping: Mapping) -> tuple[str, str, str] | None:
    """The messages' fields for role, content and ts, where the mapping names them without a path."""
    fields = mapping.message
    paths = (fields.role, several(fields.content)[0], fields.ts or f"$.{_NO_TIME}")
    if not all(map(_is_name, (*paths[:2], fields.ts or "$.ts", *several(fields.content), *several(fields.tool_calls)))):
        return None
    role, content, ts = (path.removeprefix("$.") for path in paths)
    return (role, content, ts) if len({role, content, ts}) == 3 and fields.sequence is None else None


def _is_name(path: str) -> bool:
    return re.fullmatch(r"\$\.\w+", path) is not None


def _others(mapping: Mapping) -> list[str]:
    """Fields that may stand in for the content: messages are plain where all of these are null."""
    fields = mapping.message
    return [path.removeprefix("$.") for path in (*several(fields.content)[1:], *several(fields.tool_calls))]


def _has(name: str, kind: str) -> Column:
    return F.col(_KINDS).rlike(f"[< ]{re.escape(name)}: {kind}[,>]")
