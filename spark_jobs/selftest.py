"""Starts Spark as every step does, writes a small Delta table and reads it again: `l2a doctor --spark`."""

from __future__ import annotations

import tempfile

import click

from l2a.options import Command, common, settings_of


@click.command(cls=Command)
@common
def command(config: str | None, warehouse: str | None) -> None:
    """Start Spark, write a Delta table, read it."""
    from spark_jobs import session

    spark = session.get(settings_of(config, warehouse).spark)
    with tempfile.TemporaryDirectory() as folder:
        spark.range(3).write.format("delta").save(f"{folder}/table")
        rows = spark.read.format("delta").load(f"{folder}/table").count()
    click.echo(f"Spark {spark.version} wrote and read {rows} rows of a Delta table")


if __name__ == "__main__":
    command()
