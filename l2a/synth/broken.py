"""Broken lines, by kind. Each is made from a good line of a session of its own, so no good session ever suffers.

In an event log the row itself is the message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from l2a.synth.forms import Document, encode
from l2a.synth.spec import LogSpec

NESTING = 2_000

ALL = ("native", "events", "openai")
WHOLE = ("native", "openai")
"""The formats in which a line is a whole dialogue."""

Edit = Callable[[Document], object]
Spoiler = Callable[[str, int], str | bytes]


@dataclass(frozen=True, slots=True)
class BrokenKind:
    """One way in which a line can be broken."""

    name: str
    meaning: str
    formats: tuple[str, ...] = ALL
    edit: Edit | None = None
    """Changes the document before it is written."""
    spoil: Spoiler | None = None
    """Changes the written text; the number varies the outcome."""

    def make(self, document: Document, number: int) -> bytes:
        """The broken line, without its line end. The document may be changed."""
        if self.edit:
            self.edit(document)
        text = encode(document)
        line = self.spoil(text, number) if self.spoil else text
        return line if isinstance(line, bytes) else line.encode()


def _id(document: Document) -> str:
    return "session_id" if "session_id" in document else "id"


def _message(document: Document) -> Document:
    """A message of the user: one of theirs is never empty and never allowed to be missing."""
    if "messages" not in document:
        return document
    found: Document = next(message for message in document["messages"] if message["role"] == "user")
    return found


def _only_experts(document: Document) -> None:
    for message in document.get("messages", [document]):
        message["role"] = "assistant"


def _front(extra: str) -> Spoiler:
    return lambda text, number: "{" + extra + text[1:]


def _latin_1(text: str, number: int) -> bytes:
    head, key, tail = text.partition('"content": "')
    return head.encode() + key.encode() + "café ".encode("latin-1") + tail.encode()


def _nested(text: str, number: int) -> str:
    """The deep value stands where the messages (or the content) belong: wrong for a parser of any depth."""
    key = '"messages": ' if '"messages": ' in text else '"content": '
    return text.partition(key)[0] + key + "[" * NESTING + "]" * NESTING + "}"


_NOT_OBJECTS = ('["s-1"]', '"s-1"', "42", "null", "true")

_KINDS = (
    BrokenKind("not_json", "another program's log line", spoil=lambda t, n: f"2026-11-03 INFO request {n} took 12 ms"),
    BrokenKind("truncated_json", "cut off in the middle", spoil=lambda t, n: t[: len(t) // 4 + n % (len(t) // 2)]),
    BrokenKind("not_utf8", "Latin-1 in the middle of UTF-8", spoil=_latin_1),
    BrokenKind("not_an_object", "JSON, but no object", spoil=lambda t, n: _NOT_OBJECTS[n % len(_NOT_OBJECTS)]),
    BrokenKind("empty_object", "an object without anything", spoil=lambda t, n: "{}"),
    BrokenKind("no_session_id", "no session id", edit=lambda d: d.pop(_id(d))),
    BrokenKind("session_id_null", "session id null", edit=lambda d: d.update({_id(d): None})),
    BrokenKind("session_id_number", "session id a number", edit=lambda d: d.update({_id(d): 4711})),
    BrokenKind("session_id_empty", "session id an empty string", edit=lambda d: d.update({_id(d): ""})),
    BrokenKind("no_messages", "no messages", WHOLE, lambda d: d.pop("messages")),
    BrokenKind("messages_null", "messages null", WHOLE, lambda d: d.update(messages=None)),
    BrokenKind("messages_object", "messages not a list", WHOLE, lambda d: d.update(messages=d["messages"][0])),
    BrokenKind("messages_empty", "an empty list of messages", WHOLE, lambda d: d.update(messages=[])),
    BrokenKind("message_not_object", "a message that is a string", WHOLE, lambda d: d["messages"].insert(1, "hello?")),
    BrokenKind("message_without_role", "a message without role", edit=lambda d: _message(d).pop("role")),
    BrokenKind("message_without_content", "a message without content", edit=lambda d: _message(d).pop("content")),
    BrokenKind("content_null", "a user's message with content null", edit=lambda d: _message(d).update(content=None)),
    BrokenKind("content_number", "a content that is a number", edit=lambda d: _message(d).update(content=12345)),
    BrokenKind("unknown_role", "a role that nobody knows", edit=lambda d: _message(d).update(role="moderator")),
    BrokenKind("no_user_message", "the user says nothing", edit=_only_experts),
    BrokenKind(
        "updated_at_not_a_time",
        "updated_at is no time",
        WHOLE,
        lambda d: d.get("metadata", d).update(updated_at="yesterday afternoon"),
    ),
    BrokenKind(
        "ts_not_a_time", "a ts is no time", ("native", "events"), lambda d: _message(d).update(ts="half past nine")
    ),
    BrokenKind("no_order", "neither time nor number", ("events",), lambda d: d.update(seq=None, ts=None)),
    BrokenKind("duplicate_key", "the session id twice", spoil=lambda t, n: "{" + t[1 : t.index(",")] + ", " + t[1:]),
    BrokenKind(
        "duplicate_key_in_message",
        "a message with two roles",
        WHOLE,
        spoil=lambda t, n: t.replace('"role": "user"', '"role": "user", "role": "assistant"', 1),
    ),
    BrokenKind("rubbish_after_object", "text after the object", spoil=lambda t, n: t + " -- end of record"),
    BrokenKind("two_objects", "two objects on one line", spoil=lambda t, n: f"{t} {t}"),
    BrokenKind("single_quotes", "single quotes for double ones", spoil=lambda t, n: t.replace('"', "'")),
    BrokenKind("nan_literal", "NaN, which JSON does not know", spoil=_front('"score": NaN, ')),
    BrokenKind("deep_nesting", f"{NESTING:,} brackets deep", spoil=_nested),
    BrokenKind(
        "unpaired_surrogate",
        "half a character, as an escape",
        spoil=lambda t, n: t.replace('"content": "', r'"content": "\ud83d ', 1),
    ),
)


def broken_kinds(spec: LogSpec) -> tuple[BrokenKind, ...]:
    """The kinds of this log's format, in the order in which its broken lines go round."""
    kinds = tuple(kind for kind in _KINDS if spec.format in kind.formats)
    if spec.oversize_bytes is None:
        return kinds
    text = "x" * spec.oversize_bytes
    over_size = BrokenKind("over_size", "a very large message", edit=lambda d: _message(d).update(content=text))
    return (*kinds, over_size)
