"""What a mapping file may say, and loading one: a name that ships (native, events, openai) or a TOML file."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from l2a.errors import MappingError

ROLES = ("user", "assistant", "system", "tool")
_STEP = re.compile(r"\.(?P<name>[^.\[\]'\"]+)|\[(?P<index>\d+)\]|\['(?P<quoted>[^']+)'\]|\[\"(?P<double>[^\"]+)\"\]")


def json_path(path: str) -> str:
    """`metadata.case.id`, `turns[0].text` or `$['odd.name'].x` as a JSON path from the root, `$.metadata.case.id`.

    Raises ValueError for a path that cannot be read.
    """
    rooted = path if path.startswith("$") else f"${path}" if path.startswith("[") else f"$.{path}"
    steps = rooted[1:]
    if not steps or "".join(match.group(0) for match in _STEP.finditer(steps)) != steps:
        raise ValueError(f"{path!r} is no path; write it like a.b[0].c or $['odd.name'].b")
    return rooted


def several(given: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """What a setting that takes one value or a list of them names."""
    return () if given is None else (given,) if isinstance(given, str) else given


def _json_paths(given: str | tuple[str, ...]) -> str | tuple[str, ...]:
    return json_path(given) if isinstance(given, str) else tuple(map(json_path, given))


def _names_of_paths(given: str | tuple[str, ...]) -> str | tuple[str, ...]:
    _json_paths(given)
    return given  # as it is written: a file counts as read by the mapping that says the same


JsonPath = Annotated[str, AfterValidator(json_path)]
OneOrMore = str | Annotated[tuple[str, ...], Field(min_length=1)]
JsonPaths = Annotated[OneOrMore, AfterValidator(_json_paths)]
"""One path or a list of them, of which the first that leads to anything counts."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fields(_Part):
    """Where a document (or an event row) holds what belongs to the dialogue."""

    session_id: JsonPath
    messages: JsonPath | None = None
    domain: JsonPath | None = None
    goal: JsonPath | None = None
    outcome: JsonPath | None = None
    expert: JsonPath | None = None
    updated_at: JsonPath | None = None
    group: JsonPath | None = None
    """What must never lie on two sides of a split, such as the customer; unset: the session itself."""


class MessageFields(_Part):
    """Where a message (or an event row) holds what belongs to the message."""

    role: JsonPath = "$.role"
    content: JsonPaths = "$.content"
    ts: JsonPath | None = None
    sequence: JsonPath | None = None
    """Order of event rows; unset: ts."""
    text_parts: Annotated[OneOrMore, AfterValidator(_names_of_paths)] | None = None
    """Where content may be a list of parts: the name of the text in a part that is an object."""
    tool_calls: JsonPaths | None = None
    """A message without content, or with an empty one, that holds calls is a tool message with the calls as JSON."""


class Constants(_Part):
    """What the log does not say because it is the same for all of it."""

    domain: str | None = None
    goal: str | None = None
    outcome: str | None = None
    expert: str | None = None


class Mapping(_Part):
    """One log format. `kind` document: a dialogue a row; event: a message a row, gathered by session."""

    name: str = Field(min_length=1)
    kind: Literal["document", "event"] = "document"
    timestamps: Literal["iso8601", "epoch_s", "epoch_ms"] = "iso8601"
    numeric_session_ids: bool = False
    fields: Fields
    message: MessageFields = MessageFields()
    constants: Constants = Constants()
    roles: dict[str, Literal["user", "assistant", "system", "tool"]] = Field(default_factory=dict)
    """The log's role names; empty: user, assistant, system and tool as they are."""
    outcomes: dict[str, str] = Field(default_factory=dict)
    """The log's outcome values to ours; `*` is any other value. Empty: as they are."""

    @model_validator(mode="after")
    def _complete(self) -> Mapping:
        if self.kind == "document" and self.fields.messages is None:
            raise ValueError("a document mapping needs fields.messages")
        if self.kind == "event" and self.fields.messages is not None:
            raise ValueError("an event mapping has one message a row: leave out fields.messages")
        if self.kind == "event" and self.message.ts is None and self.message.sequence is None:
            raise ValueError("an event mapping needs an order: message.sequence or message.ts")
        if self.kind == "event" and self.message.tool_calls is not None:
            raise ValueError("message.tool_calls is for document mappings")
        return self

    @property
    def role_names(self) -> dict[str, str]:
        return dict(self.roles) or {role: role for role in ROLES}


def shipped() -> list[str]:
    """Names of the mappings that come with l2a."""
    folder = resources.files("l2a.mapping")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load(name_or_file: str | None) -> Mapping:
    """The mapping of that name or file; None: native. Raises `MappingError` that says what is wrong in it."""
    name = name_or_file or "native"
    if name in shipped():
        text, where = resources.files("l2a.mapping").joinpath(f"{name}.toml").read_text(encoding="utf-8"), name
    else:
        path = Path(name)
        if not path.is_file():
            raise MappingError(f"there is no mapping {name}: give a TOML file or one of {', '.join(shipped())}")
        text, where = path.read_text(encoding="utf-8-sig", errors="replace"), str(path)
    try:
        content = tomllib.loads(text)
        return Mapping.model_validate({"name": Path(where).stem, **content})
    except tomllib.TOMLDecodeError as error:
        raise MappingError(f"mapping {where} is not TOML: {error}") from None
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, e['loc'])) or 'mapping'}: {e['msg']}" for e in error.errors(include_input=False)
        ]
        raise MappingError(f"mapping {where}: " + "; ".join(problems)) from None
