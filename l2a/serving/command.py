"""`l2a serve`: vLLM on a model, in the foreground, until Ctrl-C.

l2a serve --tiny                                     a tiny model made on the spot: no download, no GPU
l2a serve grpo                                       the registered model of a condition; `champion` is one too
l2a serve sft grpo cispo                             several adapters of one base, in one server
l2a serve models/policy --name policy --port 8001    a model folder on disk
l2a serve models/policy -- --max-model-len 4096      what stands after -- goes to vLLM as it is
"""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

import click

from l2a.errors import UsageError
from l2a.options import Command, common, settings_of
from l2a.progress import say
from l2a.registry import Registry
from l2a.serving.folder import model_folder
from l2a.serving.policies import Policies, policies
from l2a.serving.process import LOCALHOST, START_SECONDS, Server, require_vllm, serving_policies
from l2a.serving.tiny import TINY_ARGUMENTS, make_tiny_model

_FOR_VLLM = "l2a.serving.for_vllm"


class _Serve(Command):
    """Keeps what stands after `--` apart, whether or not a folder stands before it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_FOR_VLLM] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- VLLM ARGUMENTS]"]


@click.command("serve", cls=_Serve)
@click.argument("what", nargs=-1, metavar="[FOLDER | CONDITION...]")
@click.option("--tiny", is_flag=True, help="Make a tiny model and serve it: real calls, answers without sense.")
@click.option("--name", metavar="NAME", help="Model name in calls [default: the folder's name; --tiny: tiny].")
@click.option(
    "--host", default=LOCALHOST, show_default=True, help="0.0.0.0 lets other machines in; it asks for no key."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder in which --tiny keeps its model [default: l2a in the user's cache folder].",
)
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="File for all that vLLM says.")
@click.option(
    "--start-timeout",
    type=click.FloatRange(min=1),
    default=START_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Give up when it does not answer by then.",
)
@common
@click.pass_context
def command(
    context: click.Context,
    what: tuple[str, ...],
    tiny: bool,
    name: str | None,
    host: str,
    port: int,
    cache: Path | None,
    log: Path | None,
    start_timeout: float,
    config: str | None,
    warehouse: str | None,
) -> None:
    """Start vLLM on a model, wait until it answers, and serve until Ctrl-C.

    What is served is a folder on disk, or the newest registered model of a condition. Standard output gets the
    endpoint, and each model's name and version of its weights.
    """
    if tiny == bool(what):
        raise UsageError("Say what to serve: a condition with a registered model, the folder of a model, or --tiny.")
    if cache is not None and not tiny:
        raise UsageError("--cache is where --tiny keeps its model; a folder is served from where it is.")
    require_vllm()
    if tiny or _is_folder(what):
        model = _tiny(cache) if tiny else model_folder(Path(what[0]))
        served = Policies(model, name or model.name.split("@")[0], None)
    else:
        if name is not None:
            raise UsageError("--name is for a folder; a condition is served under its own name.")
        settings = settings_of(config, warehouse)
        served = policies(Registry.open(settings), what, settings.evaluate.rollout_max_tokens)
    say(f"serve: starting vLLM on {served.model}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the server is stopped, and waited for
    for_vllm = [*(TINY_ARGUMENTS if tiny else ()), *context.meta[_FOR_VLLM]]
    with serving_policies(
        served, host=host, port=port, start_seconds=start_timeout, log=log, arguments=for_vllm
    ) as server:  # fmt: skip
        try:
            _introduce(server, [] if tiny or _is_folder(what) else list(what))
            server.wait()
        except KeyboardInterrupt:
            say("serve: stopping")


def _tiny(cache: Path | None) -> Path:
    if cache is None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "l2a"
    try:
        return make_tiny_model(cache)
    except OSError as error:
        raise UsageError(
            f"The tiny model cannot be kept in {cache}: {error.strerror}. Give a --cache FOLDER."
        ) from None


def _is_folder(what: tuple[str, ...]) -> bool:
    """Whether a folder is meant, and not conditions: it is one, or looks like a path."""
    return len(what) == 1 and (os.sep in what[0] or Path(what[0]).is_dir())


def _introduce(server: Server, conditions: list[str]) -> None:
    """conditions: those that were asked for; none: it is a model of any kind."""
    model = conditions[0] if conditions else server.model
    use = ["rollout", "--condition", model] if conditions else ["extract", "--extractor", "llm"]
    options = shlex.join([*use, "--endpoint", server.url, "--model", model])
    say(f"serve: ready; Ctrl-C stops it. To try it: l2a {options}")
    click.echo(f"endpoint       {server.url}")
    for name, version in {server.model: server.model_version, **server.adapters}.items():
        click.echo(f"model          {name}")
        click.echo(f"model_version  {version or '(not known)'}")
