"""What every question to MLflow needs: its search language, pages of results, and its errors as ours."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from l2a.errors import EnvironmentProblem, UsageError


def pages(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    """All that a search finds, page by page."""
    token = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def quoted(name: str) -> str:
    """A name in MLflow's search language, which has no escapes."""
    if "'" not in name:
        return f"'{name}'"
    if '"' not in name:
        return f'"{name}"'
    raise UsageError(f"condition {name}: a name cannot have both kinds of quotes")


@contextlib.contextmanager
def explained(uri: str) -> Iterator[None]:
    """MLflow's errors as ours: a server that is down or refuses a file, a database of another version or damaged."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError) as error:
        # Passwords first: a cut in the middle of an address would leave a part of one.
        said = redacted((str(error).strip() or type(error).__name__).splitlines()[0])[:300]
        raise EnvironmentProblem(f"MLflow at {redacted(uri)} does not answer as it should: {said}") from None


def redacted(text: str) -> str:
    """The text with its addresses' user names and passwords taken out."""
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", text)
