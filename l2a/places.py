"""How a written folder or URL is read."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from l2a.errors import UsageError


def folder_or_url(text: str) -> str:
    """A place as all who read it take it: a folder of this machine as a plain path, any other URL as it is.

    Spark, delta-rs, DuckDB and MLflow each read `~` and file: URLs in their own way, so none of them is given one.
    Raises `UsageError` for a file: URL that names no folder of this machine.
    """
    if text.startswith("file:"):
        parts = urlsplit(text, allow_fragments=False)
        if parts.netloc not in ("", "localhost") or not parts.path or parts.query:
            raise UsageError(
                f"{text} names no folder of this machine: write a path, or file:/// and a path from the root"
            )
        text = unquote(parts.path)
    elif "://" in text:
        return text.rstrip("/")
    return os.path.expanduser(text).rstrip("/") or text


def from_root(text: str) -> str:
    """As `folder_or_url`, a folder as a path from the root: Delta takes a relative one for a table's name."""
    place = folder_or_url(text)
    return place if "://" in place else os.path.abspath(place)
