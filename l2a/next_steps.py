"""What to type next: the end of a command that a newcomer runs."""

from __future__ import annotations

from collections.abc import Mapping

from l2a.settings import Settings


def next_steps(looks: Mapping[str, str], warehouse: str) -> str:
    """Lines to print. looks: what follows `l2a`, and what it shows; the warehouse is named where it is not the default
    one."""
    there = "" if warehouse == Settings.model_fields["warehouse"].default else f" --warehouse {warehouse}"
    lines = [f"  {f'l2a {look}{there}':<75} {shows}" for look, shows in looks.items()]
    return "\n".join(["", "Where to look next:", *lines])
