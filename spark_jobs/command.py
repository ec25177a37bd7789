"""What the commands of all jobs share: settings, a Spark session, the warehouse."""

from __future__ import annotations

from typing import Any

import click

from l2a.launch.tether import follow
from l2a.options import llm_given, llm_options, settings_of
from l2a.settings import Settings
from l2a.tables.hadoop import file_system
from l2a.tables.warehouse import Warehouse


def open_warehouse(settings: Settings) -> Warehouse:
    """The warehouse of the settings, through the session of this process (made if there is none).

    Raises `EnvironmentProblem` where Spark cannot reach it.
    """
    from spark_jobs import session

    warehouse = Warehouse(session.get(settings.spark), settings.warehouse)
    file_system(warehouse.spark, warehouse.root)
    return warehouse


def start(config: str | None, warehouse: str | None, **options: Any) -> tuple[Settings, Warehouse]:
    """Settings with the command's options on top, and the warehouse that they name."""
    from spark_jobs import session

    follow()
    settings = settings_of(config, warehouse, **options)
    theirs, context = session.active(), click.get_current_context(silent=True)
    if theirs is not None and context is not None:
        context.call_on_close(lambda: session.make_active(theirs))
    return settings, open_warehouse(settings)


max_failed_share = click.option(
    "--max-failed-share",
    type=click.FloatRange(0, 1),
    help="Exit code 1 above this share of failed rows [0.05].",
)
all_again = click.option("--all", "all_again", is_flag=True, help="Take everything again, also what was taken before.")

__all__ = ["all_again", "llm_given", "llm_options", "max_failed_share", "open_warehouse", "start"]
