"""The promotion rule: better where it counts, and worse nowhere else beyond what chance explains.

A candidate replaces the champion if the paired difference of TR, on the turns that both answered, has its 95 % interval
above 0; if WS, WA-GH and FC are not lower beyond theirs; and if general capability holds. What cannot be compared
speaks against it: a guard that nobody could check is no guard.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from l2a.metrics.paired import ENOUGH_DIALOGUES, Difference

GAIN = "TR"
GUARDS = ("WS", "WA-GH", "FC")


@dataclass(frozen=True)
class Capability:
    """How a policy does on what it was not trained for. perplexity: of held-out ordinary text; None: not measured."""

    perplexity: float | None = None
    tasks: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Name of a task's metric -> its value (higher is better) and standard error."""


@dataclass(frozen=True)
class Decision:
    """The answer, and every reason for and against it."""

    promote: bool
    reasons: list[str]


def decide(
    differences: Iterable[Difference],
    candidate: Capability,
    champion: Capability | None,
    *,
    perplexity_margin: float = 0.10,
) -> Decision:
    """Whether the candidate replaces the champion.

    differences: candidate minus champion, on the turns that both answered. champion: None where it is no model (the
    built-in `random`, before there is one): then capability is not compared. perplexity_margin: so much higher a
    perplexity is allowed, as a share of the champion's.
    """
    by_metric = {difference.metric: difference for difference in differences}
    found = [_gain(by_metric.get(GAIN)), *[_guard(name, by_metric.get(name)) for name in GUARDS]]
    if champion is not None:
        found.append(_perplexity(candidate.perplexity, champion.perplexity, perplexity_margin))
        found += _tasks(candidate.tasks, champion.tasks)
    return Decision(all(good for good, _ in found), [reason for _, reason in found])


_Found = tuple[bool, str]


def _gain(difference: Difference | None) -> _Found:
    if difference is None or difference.ci_low is None:
        return False, f"{GAIN} cannot be compared: {_in_common(difference)}"
    told = _told(difference)
    if difference.n_dialogues < ENOUGH_DIALOGUES:
        return False, f"{told}: under {ENOUGH_DIALOGUES} dialogues in common nothing is called"
    if difference.ci_low > 0:
        return True, f"{told}: higher"
    return False, f"{told}: its interval is not above 0"


def _guard(name: str, difference: Difference | None) -> _Found:
    if difference is None or difference.ci_high is None:
        return False, f"{name} cannot be compared: {_in_common(difference)}"
    if difference.ci_high < 0:
        return False, f"{_told(difference)}: lower"
    return True, f"{_told(difference)}: not lower beyond its interval"


def _told(difference: Difference) -> str:
    return (
        f"{difference.metric} {difference.baseline_value:.3f} -> {difference.value:.3f}, difference "
        f"{difference.difference:+.3f} [{difference.ci_low:+.3f}, {difference.ci_high:+.3f}] "
        f"over {difference.n_dialogues:,} dialogues"
    )


def _in_common(difference: Difference | None) -> str:
    if difference is None or not difference.n_dialogues:
        return "the two have no graded turn of that kind in common"
    return "one of the two has no value"


def _perplexity(mine: float | None, theirs: float | None, margin: float) -> _Found:
    if mine is None or theirs is None:
        whose = "the candidate's" if mine is None else "the champion's"
        return False, f"perplexity of held-out text cannot be compared: {whose} training logged none"
    told = f"perplexity of held-out text {theirs:.2f} -> {mine:.2f}"
    if mine <= theirs * (1 + margin):
        return True, f"{told}: not more than {margin:.0%} higher"
    return False, f"{told}: more than {margin:.0%} higher"


def _tasks(mine: Mapping[str, tuple[float, float]], theirs: Mapping[str, tuple[float, float]]) -> Sequence[_Found]:
    found = []
    for name in sorted({*mine, *theirs}):
        if name not in mine or name not in theirs:
            found.append((False, f"{name} cannot be compared: it was measured of one of the two only"))
            continue
        (value, error), (other, other_error) = mine[name], theirs[name]
        reach = 1.96 * (error * error + other_error * other_error) ** 0.5
        told = f"{name} {other:.3f} -> {value:.3f}, difference {value - other:+.3f} +- {reach:.3f}"
        lower = value - other + reach < 0
        found.append((not lower, f"{told}: {'lower' if lower else 'not lower beyond its interval'}"))
    return found
