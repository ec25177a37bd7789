"""What to say when a step failed: what is left to do, the command that does it, and where its log is."""

from __future__ import annotations

from l2a.errors import L2AError
from l2a.sql.engine import connect, query
from l2a.sql.status import ungraded

LEFT = {
    "slice": "SELECT found FROM table_reconciliation WHERE what = 'dialogues that are not sliced'",
    "extract": "SELECT found FROM table_reconciliation WHERE what = 'usable turns without an objective'",
    "rollout": "SELECT count(*) FROM rollouts WHERE status = 'failed'",
    "grade": "SELECT count(*) FROM ({ungraded})",
}
UNITS = {
    "slice": "dialogues are not sliced",
    "extract": "usable turns have no objective",
    "rollout": "rollouts failed",
    "grade": "rollouts have no grade",
}
CALLS = "SELECT count(*) FROM llm_calls WHERE status = 'failed'"


def advice(warehouse: str, grader: str, step: str, command: str | None, error: str, log: str) -> str:
    """A few lines for the person who has to act. Never raises: what cannot be counted is said to be so.

    grader: the one of the settings. command: what to type; None: there is no command that helps, so none is named.
    """
    left = _left(warehouse, grader, step)
    lines = [
        f"{step} failed: {(error.strip() or 'no reason was given').splitlines()[-1][:500]}",
        f"left: {left}. What was finished is kept, and no call that was answered is paid again.",
        *([f"what to type: {command}"] if command else []),
        f"its log: {log}",
    ]
    return "\n".join(lines)


def _left(warehouse: str, grader: str, step: str) -> str:
    if step not in LEFT:
        return "see `l2a status`"
    try:
        connection = connect(warehouse)
        rows = next(iter(query(connection, LEFT[step].format(ungraded=ungraded(grader))).rows))[0]
        calls = next(iter(query(connection, CALLS).rows))[0]
    except (L2AError, OSError) as problem:
        return f"not known, the tables cannot be read ({problem})"
    failed = (
        f', {calls:,} LLM calls have no answer so far (l2a sql "SELECT * FROM llm_usage")'
        if calls and step != "slice"
        else ""
    )
    return f"{rows:,} {UNITS[step]}{failed}"
