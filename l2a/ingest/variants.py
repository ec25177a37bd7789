"""What stands at a path of a parsed line: as a variant, as text, as a time."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from l2a.mapping import Mapping

_YEARS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
"""Microseconds from the year 1 to the year 9999."""

_ISO = r"^\d{4}-\d{2}-\d{2}([T ].+)?$"


def at(variant: str | Column, path: str | None) -> Column:
    """What stands at a path, as a variant; null where there is nothing."""
    column = F.col(variant) if isinstance(variant, str) else variant
    return F.lit(None).cast("variant") if path is None else F.try_variant_get(column, path, "variant")


def is_null(variant: Column) -> Column:
    return variant.isNull() | F.is_variant_null(variant)


def text(variant: Column) -> Column:
    """A value as text: strings as they are, numbers and the like in JSON's form."""
    return F.when(~is_null(variant), F.try_variant_get(variant, "$", "string"))


def whole_number(variant: Column) -> Column:
    """A whole number as decimal(38, 0), however it is written (7, 7.0, a column of doubles); null for all else."""
    number = F.try_variant_get(variant, "$", "decimal(38,9)")
    whole = F.schema_of_variant(variant).rlike(r"^(BIGINT|FLOAT|DOUBLE|DECIMAL\(.*)$") & (number == F.floor(number))
    return F.when(whole, number.cast("decimal(38,0)"))


def time(variant: Column, mapping: Mapping, name: str) -> tuple[Column, Column]:
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
    problem = F.when(~is_null(variant) & moment.isNull(), F.concat(F.lit(f"not a time: {name} is "), said))
    return moment, problem
