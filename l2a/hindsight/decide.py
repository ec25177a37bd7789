"""Which of the listed attributes are generic: by their figures, or by a person's word in a file.

The file is TOML: a table per domain (`unknown`: dialogues without one), in it attributes as `generic_attributes` lists
them, true or false.

    ["bank/card_loss"]
    "full name" = false      # asked of everyone, and worth asking all the same
    "marketing consent" = true
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from l2a.errors import UsageError
from l2a.settings import ObjectiveSettings

Overrules = Mapping[tuple[str, str], bool]
"""(domain, attribute) -> generic or not."""


def read_overrules(path: str | None) -> dict[tuple[str, str], bool]:
    """What a person decided; nothing where no file is set. Raises `UsageError` for a file that does not say so."""
    if path is None:
        return {}
    try:
        told = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"[objectives] generic_file {path}: {error}") from error
    found: dict[tuple[str, str], bool] = {}
    for domain, attributes in told.items():
        if not isinstance(attributes, dict):
            raise UsageError(f"[objectives] generic_file {path}: {domain} must be a table: attribute = true or false")
        for attribute, generic in attributes.items():
            if not isinstance(generic, bool):
                raise UsageError(f"[objectives] generic_file {path}: {domain}, {attribute} must be true or false")
            found[domain, attribute.strip().lower()] = generic
    return found


def decided(
    listed: Iterable[Mapping[str, Any]], settings: ObjectiveSettings, overrules: Overrules
) -> list[dict[str, Any]]:
    """Rows of `figures` with generic and decided_by (data or file), sorted by domain and attribute."""
    rows = []
    for row in sorted(listed, key=lambda row: (row["domain"], row["attribute"])):
        word = overrules.get((row["domain"], row["attribute"]))
        by_data = (
            row["dialogues"] >= settings.generic_min_dialogues
            and row["asked_share"] >= settings.generic_share
            and row["context_effect"] <= settings.generic_context_effect
        )
        rows.append(
            {
                **row,
                "generic": by_data if word is None else word,
                "decided_by": "data" if word is None else "file",
            }
        )
    return rows
