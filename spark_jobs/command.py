"""What the commands of all jobs share: settings, a Spark session, the warehouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from l2a.launch.tether import follow
from l2a.options import settings_of
from l2a.settings import Settings
from l2a.tables.warehouse import Warehouse

Function = TypeVar("Function", bound=Callable[..., Any])


def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse of the settings, through the session of this process (made if there is none)."""
    from spark_jobs import session

    return Warehouse(session.get(settings.spark), settings.warehouse)


def start(config: str | None, warehouse: str | None, **options: Any) -> tuple[Settings, Warehouse]:
    """Settings with the command's options on top, and the warehouse that they name."""
    from spark_jobs import session

    follow()
    settings = settings_of(config, warehouse, **options)
    theirs, context = session.active(), click.get_current_context(silent=True)
    if theirs is not None and context is not None:
        context.call_on_close(lambda: session.make_active(theirs))
    return settings, open_warehouse(settings)


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


max_failed_share = click.option(
    "--max-failed-share",
    type=click.FloatRange(0, 1),
    help="Exit code 1 above this share of failed rows [0.05].",
)
all_again = click.option("--all", "all_again", is_flag=True, help="Take everything again, also what was taken before.")
