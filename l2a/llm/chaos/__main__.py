"""`python -m l2a.llm.chaos --port 8100`: starts the chaos endpoint and serves until it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import click
from pydantic import ValidationError

from l2a.llm.chaos.plan import ChaosSettings, Fault
from l2a.llm.chaos.running import serving
from l2a.llm.chaos.server import ChaosServer


def _shares(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[Fault, float]:
    shares = {}
    for value in values:
        name, _, share = value.partition("=")
        try:
            shares[Fault(name)] = float(share)
        except ValueError:
            raise click.BadParameter(f"{value!r} is not NAME=SHARE with NAME one of {', '.join(Fault)}") from None
    return shares


@click.command(help=__doc__)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8100, show_default=True, help="0 takes a free one; the address is printed.")
@click.option("--seed", default=0, show_default=True)
@click.option("--model", default="chaos", show_default=True)
@click.option("--model-version", default="1", show_default=True)
@click.option("--fault", "faults", multiple=True, callback=_shares, help="NAME=SHARE of the requests; repeatable.")
@click.option("--fault-tries", type=int, help="A passing fault meets the first 1 to this many tries.")
@click.option("--retry-after-seconds", type=float)
@click.option("--slow-seconds", type=float, help="Seconds that a slow body, and mode slow, take.")
@click.option("--slots", type=int, help="Calls worked on at once.")
@click.option("--max-queue", type=int, help="Calls that may queue before a 429.")
@click.option("--calls-per-second", type=float)
@click.option("--latency-seconds", type=float)
@click.option("--completion-tokens-per-second", type=float)
@click.option("--prompt-tokens-per-second", type=float)
@click.option("--block-tokens", type=int)
@click.option("--max-model-len", type=int)
@click.option(
    "--log-file", type=click.Path(dir_okay=False, path_type=Path), help="Every served request, one line each."
)
@click.option("--api-key-env", help="Environment variable with the key to ask for.")
def main(host: str, port: int, api_key_env: str | None, **options: object) -> None:
    key = os.environ.get(api_key_env) if api_key_env else None
    if api_key_env and not key:
        raise click.UsageError(f"The environment variable {api_key_env} is not set.")
    try:
        given = {name: value for name, value in options.items() if value is not None}
        settings = ChaosSettings.model_validate(given | {"api_key": key})
    except ValidationError as error:
        raise click.UsageError(str(error.errors()[0]["msg"])) from None
    asyncio.run(_serve(settings, host, port))


async def _serve(settings: ChaosSettings, host: str, port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with serving(ChaosServer(settings), host, port) as url:
        click.echo(url)
        await stopped.wait()


if __name__ == "__main__":
    main()
