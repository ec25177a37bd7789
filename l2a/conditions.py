"""Names of conditions: those that are built in, and what a name says of how its policy answered."""

from __future__ import annotations

EXPERT, RANDOM = "expert", "random"
BUILT_IN = (EXPERT, RANDOM)
"""They need no model: `expert` says what the expert said, `random` draws from what experts say."""
CHAMPION = "champion"
"""Whichever model was promoted last."""
GREEDY = "@greedy"
"""What the name of a condition that answers at temperature 0 ends with."""
