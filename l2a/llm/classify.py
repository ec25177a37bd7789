"""From an HTTP response that is not 200 to an error of the tree. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

from l2a.errors import L2AError
from l2a.llm import errors

_TOO_LONG = re.compile(
    r"context[ _]length|maximum (?:context|model|input|sequence) len|max_model_len|prompt is too long|too many tokens"
    r"|longer than the (?:maximum|model)|exceeds? .{0,40}(?:context|token)|reduce the length",
    re.IGNORECASE,
)
_REFUSED = re.compile(r"content[ _](?:filter|policy|management)|moderation|flagged|safety", re.IGNORECASE)
_NO_MODEL = re.compile(r"model_not_found|model .{0,200}(?:does not exist|not found)", re.IGNORECASE | re.DOTALL)
_BAD_KEY = re.compile(r"invalid_api_key|api[ _]key (?:is )?(?:not valid|invalid)|incorrect api key", re.IGNORECASE)
_SPENT = re.compile(r"insufficient_quota|exceeded your current quota|billing_hard_limit|credit balance", re.IGNORECASE)
_LATER = frozenset({408, 409, 423, 424, 425, 499})
"""Not now: a lock, a conflict, or somebody in between who gave up."""
_OVERLOADED = frozenset({502, 503, 504, 529})


def error_of(
    status: int,
    body: bytes,
    *,
    endpoint: str,
    model: str,
    scrub: Callable[[str], str] = lambda text: text,
    retry_after: str | None = None,
) -> L2AError:
    """The error for a response with this status (anything but 200) and the beginning of its body.

    `scrub` takes secrets out of what the endpoint said; `retry_after` is the header's value.
    Returns a CallError, or a JobStopped where no other request would fare better.
    """
    said = _message(body)
    text = scrub(said)
    where = f"{endpoint} answered {status}"
    quote = f": {text}" if text else ""
    wait = seconds_to_wait(retry_after)
    if status == 401 or (status == 403 and not _REFUSED.search(said)) or (status == 400 and _BAD_KEY.search(said)):
        return errors.WrongKey(
            f"{where}: the API key is missing or wrong. Nothing more was asked; finished answers are kept."
        )
    if status == 402 or (status == 429 and _SPENT.search(said)):
        return errors.QuotaExhausted(f"{where}: the account behind the key is spent. Finished answers are kept.")
    if status == 404 or (status == 400 and _NO_MODEL.search(said)):
        return errors.UnknownModel(f"{where}: it does not know the model {model!r}, or the URL is wrong{quote}")
    if 300 <= status < 400 or status == 405:
        return errors.WrongAddress(f"{where}: this URL is not a chat endpoint. Give the address that it moved to.")
    if status == 429:
        return errors.RateLimited(f"{where}{quote}", status=status, retry_after=wait)
    if status in _LATER:
        return errors.TimedOut(f"{where}{quote}", status=status, retry_after=wait)
    if status in _OVERLOADED:
        return errors.Overloaded(f"{where}{quote}", status=status, retry_after=wait)
    if status >= 500:
        return errors.ServerError(f"{where}{quote}", status=status, retry_after=wait)
    if status == 413 or (status in (400, 422) and _TOO_LONG.search(said)):
        return errors.TooLong(f"{where}: too long for the model{quote}", status=status)
    if status in (400, 403, 422, 451) and _REFUSED.search(said):
        return errors.Refused(f"{where}{quote}", status=status)
    return errors.BadRequest(f"{where}{quote}", status=status)


def seconds_to_wait(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3: a number or an HTTP date); None for nonsense."""
    if not header:
        return None
    header = header.strip()
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if isfinite(seconds) else None


def _message(body: bytes) -> str:
    """The endpoint's own words: error.message and error.code where the body has the usual form, else its beginning."""
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()
    error = found.get("error", found) if isinstance(found, dict) else None
    if not isinstance(error, dict):
        return str(error).strip() if error else text.strip()
    words = [error.get(key) for key in ("message", "detail", "code", "type")]
    return " ".join(str(word) for word in words if isinstance(word, (str, int)) and word != "")
