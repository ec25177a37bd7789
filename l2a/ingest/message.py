"""One message of a line, or what is wrong with it."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from l2a.dialogue.utterance import WHITE_SPACE
from l2a.ingest.variants import at, is_null, text, time, whole_number
from l2a.mapping import Mapping, several
from l2a.mapping.model import json_path


def message(variant: Column, index: Column | None, mapping: Mapping, max_bytes: int) -> Column:
    """One message: role, content, ts, seq, and its problem (null: none)."""
    fields = mapping.message
    place = F.lit("") if index is None else F.concat(F.lit(" at message "), (index + 1).cast("string"))

    def said(reason: str | Column) -> Column:
        return F.concat(F.lit(reason) if isinstance(reason, str) else reason, place)

    role_at = at(variant, fields.role)
    content_at = _first(variant, several(fields.content))
    their_role = text(role_at)
    names = mapping.role_names
    role = F.when(their_role.isNull(), None)
    for theirs, ours in names.items():
        role = role.when(their_role == theirs, ours)
    content_kind = F.schema_of_variant(content_at)
    content = F.when(content_kind == "STRING", F.try_variant_get(content_at, "$", "string"))
    if fields.text_parts:
        content = F.coalesce(content, _joined_parts(content_at, several(fields.text_parts)))
    if fields.tool_calls:
        calls = _calls(variant, several(fields.tool_calls))
        calls_only = calls.isNotNull() & (is_null(content_at) | (F.btrim(content, F.lit(WHITE_SPACE)) == ""))
        content = F.when(calls_only, calls).otherwise(content)
        role = F.when(calls_only & role.isNotNull(), F.lit("tool")).otherwise(role)
    ts, ts_problem = time(at(variant, fields.ts), mapping, "ts")
    sequence_at = at(variant, fields.sequence)
    seq = whole_number(sequence_at).try_cast("bigint")
    problem = (
        F.when(F.try_variant_get(variant, "$", "map<string,variant>").isNull(), said("message is not an object:"))
        .when(is_null(role_at), said("message without role:"))
        .when(role.isNull(), said(F.concat(F.lit("unknown role: "), F.substr(their_role, F.lit(1), F.lit(60)))))
        .when(content.isNull() & is_null(content_at), said("message without content:"))
        .when(content.isNull(), said(F.concat(F.lit("content of the wrong type: "), _wrong(content_kind, mapping))))
        .when(F.octet_length(content) > max_bytes, said(f"over the size limit: more than {max_bytes} bytes"))
        .when(ts_problem.isNotNull(), said(ts_problem))
        .when(~is_null(sequence_at) & seq.isNull(), said("event without order: no whole sequence number"))
    )
    return F.struct(
        role.alias("role"), content.alias("content"), ts.alias("ts"), seq.alias("seq"), problem.alias("problem")
    )


def _first(variant: Column, paths: tuple[str, ...]) -> Column:
    """What stands at the first of the paths that leads to anything."""
    if len(paths) == 1:
        return at(variant, paths[0])
    found = [at(variant, path) for path in paths]
    return F.coalesce(*[F.when(~is_null(each), each) for each in found])


def _calls(variant: Column, paths: tuple[str, ...]) -> Column:
    """The calls at the first of the paths that holds any, as JSON; null where there are none."""
    found = [F.to_json(at(variant, path)) for path in paths]
    return F.coalesce(*[F.when(~each.isin("null", "[]", "{}", '""'), each) for each in found])


def _joined_parts(content: Column, names: tuple[str, ...]) -> Column:
    """The texts of a list of parts, one a line; null where content is no list, or a part neither text nor object."""

    def said(part: Column) -> Column:
        texts = [F.try_variant_get(part, json_path(name), "string") for name in names]
        an_object = F.try_variant_get(part, "$", "map<string,variant>").isNotNull()
        as_it_is = F.when(F.schema_of_variant(part) == "STRING", F.try_variant_get(part, "$", "string"))
        return as_it_is.when(an_object, F.coalesce(*texts, F.lit("")))

    texts = F.transform(F.try_variant_get(content, "$", "array<variant>"), said)
    whole = ~F.exists(texts, lambda each: each.isNull())
    return F.when(whole, F.array_join(F.filter(texts, lambda each: each != ""), "\n"))


def _wrong(content_kind: Column, mapping: Mapping) -> Column:
    """The type of a content that cannot be read."""
    kind = F.lower(F.split_part(content_kind, F.lit("<"), F.lit(1)))
    if mapping.message.text_parts is None:
        return kind
    return F.when(kind == "array", "array with a part that is neither text nor object").otherwise(kind)
