"""Rows as text: CSV, JSON, or an aligned table. All three write rows as they come and hold none of them for long."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import itertools
import json
import math
import unicodedata
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from rich.cells import cell_len, set_cell_size

SAMPLE_ROWS = 1000
"""An aligned table takes its widths from so many rows; a wider cell further down moves its neighbours."""
WIDEST_CELL = 60
"""Cells of this many columns on a terminal; everywhere else they are whole."""

Row = Sequence[Any]


def plain(value: Any) -> Any:
    """A value in JSON's terms. Times are ISO 8601 in UTC; numbers that JSON does not know are their names."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key if isinstance(key, str) else text(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (uuid.UUID, dt.timedelta)):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def text(value: Any) -> str:
    """A value as one field: null as nothing, true and false, lists and maps as JSON."""
    value = plain(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def csv(columns: Sequence[str], rows: Iterator[Row], out: TextIO) -> None:
    """RFC 4180 with a header, lines ended by a newline; null is empty and an empty text is `""`."""
    out.write(",".join(map(_field, columns)) + "\n")
    out.writelines(",".join(map(_field, row)) + "\n" for row in rows)


def _field(value: Any) -> str:
    written = text(value)
    if value == "" or any(mark in written for mark in ',"\r\n'):
        return '"' + written.replace('"', '""') + '"'
    return written


def json_array(columns: Sequence[str], rows: Iterator[Row], out: TextIO) -> None:
    """One array with an object per row, a row a line."""
    before = "["
    for row in rows:
        out.write(before + "\n" + json.dumps(dict(zip(columns, map(plain, row), strict=True)), ensure_ascii=False))
        before = ","
    out.write("[]\n" if before == "[" else "\n]\n")


def table(columns: Sequence[str], rows: Iterator[Row], out: TextIO) -> None:
    """Aligned columns, numbers to the right; wide cells are cut on a terminal only."""
    widest = WIDEST_CELL if out.isatty() else None
    head = list(itertools.islice(rows, SAMPLE_ROWS))
    sample = [[_cell(value, widest) for value in row] for row in head]
    titles = [_cell(name, widest) for name in columns]
    widths = [max(map(cell_len, column)) for column in zip(titles, *sample, strict=True)]
    right = [_all_numbers(column) for column in zip(*head, strict=True)] or [False] * len(columns)

    def line(cells: Sequence[str]) -> str:
        padded = (_pad(cell, width, side) for cell, width, side in zip(cells, widths, right, strict=True))
        return "  ".join(padded).rstrip() + "\n"

    out.write(line(titles) + "  ".join("-" * width for width in widths) + "\n")
    out.writelines(map(line, sample))
    out.writelines(line([_cell(value, widest) for value in row]) for row in rows)


def _all_numbers(values: Sequence[Any]) -> bool:
    return all(value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in values)


def _cell(value: Any, widest: int | None) -> str:
    """One line without control characters, whatever a message held: text from logs must not command a terminal."""
    written = f"{value:.6g}" if isinstance(value, float) else "".join(map(_visible, text(value)))
    if widest is not None and cell_len(written) > widest:
        return set_cell_size(written, widest - 1).rstrip() + "…"
    return written


def _visible(letter: str) -> str:
    if letter.isprintable() or unicodedata.category(letter) in ("Zs", "Cf"):
        return letter
    return letter.encode("unicode_escape").decode()


def _pad(cell: str, width: int, right: bool) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if right else cell + space


FORMATS: dict[str, Callable[[Sequence[str], Iterator[Row], TextIO], None]] = {
    "table": table,
    "csv": csv,
    "json": json_array,
}
