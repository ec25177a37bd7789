"""What all commands have in common: --warehouse and --config, and errors that end in a sentence and an exit code."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from l2a.errors import L2AError, UsageError
from l2a.settings import Settings, load

Function = TypeVar("Function", bound=Callable[..., Any])


class _Failure(click.ClickException):
    def __init__(self, error: L2AError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it from the instance


class Command(click.Command):
    """A click command whose `L2AError`s are printed without a traceback and end with their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except L2AError as error:
            raise _Failure(error) from error
        except Exception as error:
            # One that a Spark worker raised arrives as text inside Spark's own exception.
            raised = re.search(r"^(l2a(?:\.llm)?\.errors)\.(\w+): (.+)$", str(error), re.MULTILINE)
            if raised is None:
                raise
            kind = getattr(importlib.import_module(raised[1]), raised[2], L2AError)
            raise _Failure(kind(raised[3])) from error


def common(function: Function) -> Function:
    """Adds --warehouse and --config, which every command that works on a warehouse takes."""
    function = click.option("--config", metavar="FILE", help="Settings file [default: L2A_CONFIG, else ./l2a.toml].")(
        function
    )
    return click.option(
        "--warehouse", metavar="DIR", help="Folder or URL of the tables [default: ./warehouse, or L2A_WAREHOUSE]."
    )(function)


def settings_of(config: str | None, warehouse: str | None, **options: Any) -> Settings:
    """Settings with the command line's options on top; options that were not given (None) change nothing."""
    given: dict[str, Any] = {} if warehouse is None else {"warehouse": warehouse}
    for name, value in options.items():
        if isinstance(value, dict):
            value = {key: item for key, item in value.items() if item is not None}
            if value:
                given[name] = value
        elif value is not None:
            given[name] = value
    return load(config, given)


def llm_options(function: Function) -> Function:
    """Adds the options of every step that may ask an LLM; `llm_given` turns them into settings."""
    for option in reversed(
        (
            click.option("--endpoint", "endpoints", multiple=True, metavar="URL", help="LLM endpoint; repeatable."),
            click.option("--model", metavar="NAME", help="The model's name at the endpoints."),
            click.option("--model-version", metavar="TEXT", help="Which weights stand behind that name."),
            click.option("--max-in-flight", type=click.IntRange(1), help="Most calls in flight at once [64]."),
        )
    ):
        function = option(function)
    return function


def refuse_llm_options(given: Mapping[str, Any], why: str) -> None:
    """Raises `UsageError` where options of `llm_options` were given and no LLM is asked: ignored, they would hide a
    mistake, such as a forgotten `--grader llm`.

    given: what `llm_given` made of them. why: no LLM is asked, as the beginning of a sentence.
    """
    if named := [name for name, value in given.items() if value is not None]:
        option = {"endpoints": "endpoint"}.get(named[0], named[0]).replace("_", "-")
        raise UsageError(f"--{option}: {why}, so no LLM is asked")


def llm_given(
    endpoints: tuple[str, ...], model: str | None, model_version: str | None, max_in_flight: int | None
) -> dict[str, Any]:
    """The `llm` part of the settings that the options of `llm_options` give."""
    return {
        "endpoints": endpoints or None,
        "model": model,
        "model_version": model_version,
        "max_in_flight": max_in_flight,
    }
