"""How a file was read, as `sources` remembers it: by which mapping, into which given split, under which size limits.

native 1c2f6a0b9d3e4857                               no split was given, and the limits were the default ones
native 1c2f6a0b9d3e4857 split=eval max_line_bytes=9   what was given, and a limit of one's own
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from l2a.errors import UsageError
from l2a.settings import IngestSettings
from l2a.tables.contracts import DIALOGUES
from l2a.tables.warehouse import Warehouse

_DEFAULT = IngestSettings()
_LIMITS = ("max_message_bytes", "max_line_bytes")
_WRITTEN = re.compile(
    r"(?P<mapping>.*?)(?: split=(?P<split>\w+))?"
    r"(?: max_message_bytes=(?P<max_message_bytes>\d+))?(?: max_line_bytes=(?P<max_line_bytes>\d+))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Reading:
    """mapping: its name and a digest of what it says. split: the one that was given; None: none was."""

    mapping: str
    split: str | None
    max_message_bytes: int
    max_line_bytes: int

    @classmethod
    def of(cls, text: str) -> Reading:
        """The reading that `str` wrote."""
        found = _WRITTEN.fullmatch(text)
        assert found is not None, "the pattern takes any text of one line"
        limits = {name: int(found[name] or getattr(_DEFAULT, name)) for name in _LIMITS}
        return cls(found["mapping"], found["split"], **limits)

    def __str__(self) -> str:
        """What is as ever is left out, so that files that were read before this was written count as read so."""
        own = [f"{name}={getattr(self, name)}" for name in _LIMITS if getattr(self, name) != getattr(_DEFAULT, name)]
        return " ".join([self.mapping, *([f"split={self.split}"] if self.split else []), *own])

    def covers(self, other: Reading) -> bool:
        """Whether a file that was read so need not be read as `other` says.

        Lower limits would only reject what is in already; where no split is given, any will do.
        """
        return (
            self.mapping == other.mapping
            and other.split in (None, self.split)
            and all(getattr(self, name) >= getattr(other, name) for name in _LIMITS)
        )


def check_split(warehouse: Warehouse, before: Mapping[str, Collection[str | None]], given: str | None) -> None:
    """Raises `UsageError` where reading files again would leave dialogues of theirs in another split than is meant.

    before: each file that is to be read again, and the splits that were given with it until now (None: none was).
    """
    if given is None:
        for path, splits in sorted(before.items()):
            if named := sorted(split for split in splits if split):
                raise UsageError(
                    f"{path} was read with --split {named[0]} before and is to be read again: give --split {named[0]} "
                    "with it again, or its new dialogues would be divided by hash"
                )
        return
    others = sorted(path for path, splits in before.items() if given not in splits)
    if others:
        paths = warehouse.spark.createDataFrame([(path,) for path in others], "source string")
        _refuse_elsewhere(warehouse, paths, given)


def check_sessions(warehouse: Warehouse, sessions: DataFrame, given: str) -> None:
    """Raises `UsageError` where dialogues with these session ids came from other files into another split than `given`.

    They would stay there: test data that was read with the rest stays test data in name only.
    """
    _refuse_elsewhere(warehouse, sessions.select("session_id").distinct(), given)


def _refuse_elsewhere(warehouse: Warehouse, these: DataFrame, given: str) -> None:
    """these: one column of `dialogues`, by which the dialogues are meant."""
    elsewhere = F.col("split") != "eval" if given == "eval" else F.col("split") == "eval"
    lying = warehouse.read_or_empty(DIALOGUES).where(elsewhere).join(these, these.columns, "left_semi")
    row = lying.groupBy("source", "split").count().orderBy("source", F.desc("count"), "split").first()
    if row is not None:
        raise UsageError(
            f"--split {given}: {row['count']:,} of these dialogues came before, from {row['source']}, into "
            f"{row['split']}, and a dialogue keeps its split: read all files into a new --warehouse, each with its "
            "--split from the first time on"
        )
