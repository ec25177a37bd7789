"""HTML elements as strings that were escaped once: whatever a log says stands on the page as text."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = Html | str | int | None
"""What may stand in an element; everything but Html is escaped, None is nothing."""


def element(name: str, *children: Child, **attributes: str | int | float) -> Html:
    """<name attributes>children</name>. Of an attribute's underscores a last one goes (`class_`), others are dashes."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"' for key, value in attributes.items()
    )
    return Html(f"<{name}{given}>{joined(children)}</{name}>")


def joined(children: Iterable[Child]) -> Html:
    """The children one after another."""
    return Html("".join(map(_escaped, children)))


def table(heads: Sequence[Child], rows: Iterable[Sequence[Child]], *, caption: str | None = None) -> Html:
    """A table; cells that are numbers already, or drawings, are the caller's to make."""
    head = element("thead", element("tr", *[element("th", head, scope="col") for head in heads]))
    body = element("tbody", *[element("tr", *[element("td", cell) for cell in row]) for row in rows])
    title = element("caption", caption) if caption else None
    return element("div", element("table", title, head, body), class_="wide")


def _escaped(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    # What a browser must not see at all: control characters; and half a surrogate pair, which no file can hold.
    text = "".join(c if c.isprintable() or c in "\n\t" or ord(c) > 159 else "�" for c in str(child))
    return html.escape(text.encode("utf-8", "replace").decode())
