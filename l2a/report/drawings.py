"""A value in its interval, as a number and a small drawing (SVG, inline: the page needs no other file)."""

from __future__ import annotations

from l2a.report.markup import Html, element, joined

WIDTH, HEIGHT = 110, 12


def measured(value: float | None, low: float | None, high: float | None, least: float, most: float) -> Html:
    """A cell: the value, its interval, and both drawn between `least` and `most`; a line at 0 where it lies between."""
    if value is None:
        return Html("–")
    told = element("span", f"{value:.3f}", class_="value")
    if low is None or high is None:
        return told
    interval = element("span", f"[{low:.2f}, {high:.2f}]", class_="interval")
    return joined([told, " ", interval, _drawn(value, low, high, least, most)])


def _drawn(value: float, low: float, high: float, least: float, most: float) -> Html:
    def at(number: float) -> str:
        share = (number - least) / (most - least) if most > least else 0.0
        return f"{min(max(share, 0.0), 1.0) * (WIDTH - 4) + 2:.1f}"

    middle = HEIGHT / 2
    parts = [element("line", x1=2, x2=WIDTH - 2, y1=middle, y2=middle, class_="axis")]
    if least < 0 < most:
        parts.append(element("line", x1=at(0), x2=at(0), y1=0, y2=HEIGHT, class_="zero"))
    parts.append(element("line", x1=at(low), x2=at(high), y1=middle, y2=middle, class_="range"))
    parts.append(element("circle", cx=at(value), cy=middle, r=3))
    label = f"{value:.3f}, 95 % interval {low:.3f} to {high:.3f}"
    return element("svg", *parts, width=WIDTH, height=HEIGHT, role="img", aria_label=label)


def share(value: float | None) -> Html | str:
    """A share in per cent."""
    return "–" if value is None else f"{value:.1%}"
