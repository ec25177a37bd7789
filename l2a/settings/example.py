"""The text of `l2a.toml.example`, made from the settings: `python -m l2a.settings > l2a.toml.example`."""

from __future__ import annotations

import json
from typing import Any, get_args

from pydantic import BaseModel

from l2a.settings.loading import Settings


def example() -> str:
    """The text of `l2a.toml.example`: every setting with its default, its meaning and its environment variable."""
    lines = [
        "# Every setting of l2a with its default. Copy to l2a.toml and keep what differs.",
        "# In the environment, lists and tables are written as JSON.",
        "",
    ]
    lines += _example_lines(Settings, ())
    return "\n".join(lines).rstrip() + "\n"


def _example_lines(model: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    sections = []
    tables: list[str] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            sections.append((name, field.annotation))
            continue
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            default = default.model_dump(exclude_none=True)
        about = [f"# {field.description}", f"# Environment: L2A_{'__'.join((*path, name)).upper()}"]
        if default == {}:
            # `name = {}` would forbid the section of that name, which is how one writes it; after it, no other setting
            # of this section could follow.
            entry = _toml(_sample(get_args(field.annotation)[1]))
            tables += [*about, f"# [{'.'.join((*path, name))}]", f'# "name" = {entry}', ""]
            continue
        lines += about
        lines += [f"# {name} = (unset)" if default is None else f"{name} = {_toml(default)}", ""]
    lines += tables
    for name, section in sections:
        lines += [f"# {(section.__doc__ or '').splitlines()[0]}", f"[{'.'.join((*path, name))}]", ""]
        lines += _example_lines(section, (*path, name))
    return lines


def _sample(kind: Any) -> Any:
    """A value of a type: what stands in an entry of a table that has none by default."""
    if issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        return {name: _sample(field.annotation) for name, field in fields if field.is_required()}
    return "value" if kind is str else kind(1)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }" if value else "{}"
    return json.dumps(value)
