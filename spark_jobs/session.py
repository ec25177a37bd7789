"""The one place that makes a Spark session.

- A session exists already (a notebook, another program): a new session beside it with our SQL settings; its own
  settings and the shared context stay as they are.
- Under spark-submit: the submitted configuration wins, also over how we would tune; what Delta needs is added to it,
  and the secrets of `[spark.conf]`, which nobody should put on a command line.
  Only what tables and answers depend on (`RULES`) is as it must be.
- Otherwise: a local session with settings for a small machine. Delta's jars come from Maven in the versions that match
  the installed packages, or from a folder (`[spark] jars`). Spark's own log goes to a file, not to the terminal;
  one in the temporary folder is removed at the end of a process in which nothing failed.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from l2a.errors import EnvironmentProblem
from l2a.settings import SparkSettings
from l2a.settings.sections import SECRET_NAMES
from l2a.tables import jars

DELTA_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"
EXTENSIONS = "spark.sql.extensions"
DELTA = {
    EXTENSIONS: DELTA_EXTENSION,
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
RULES = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # Deep or repeated JSON must be a rejected line, never a crash, whatever the cluster's defaults are.
    "spark.sql.variant.allowDuplicateKeys": "false",
    "spark.databricks.delta.schema.autoMerge.enabled": "false",
}
TUNING = {
    "spark.sql.parquet.compression.codec": "zstd",
    # A night mostly corrects dialogues of the nights just before it: where a file holds few nights, few files are read.
    "spark.sql.files.maxRecordsPerFile": "100000",
    "spark.databricks.delta.optimize.minFileSize": str(16 * 2**20),
    "spark.databricks.delta.optimize.maxFileSize": str(64 * 2**20),
    # Text is a tenth of its size in a file: the usual 128 MB are much for one task, and few tasks leave cores idle.
    "spark.sql.files.maxPartitionBytes": "32m",
    # Each dialogue has its own: as a dictionary of all values and a number a row, they take half as much again.
    "parquet.enable.dictionary#session_id": "false",
    "parquet.enable.dictionary#dialogue_version": "false",
    # A batch of rows that are 1 MB each must fit into a worker.
    "spark.sql.execution.arrow.maxBytesPerBatch": "32m",
}
CONTEXT = {
    # Spark's own pattern lets an account's key into event logs.
    "spark.redaction.regex": SECRET_NAMES,
    # Java's serializer holds what it wrote until it is reset, and what we persist comes in batches of 4 MB: the usual
    # 100 would be 400 MB a task, whatever the number of rows.
    "spark.serializer.objectStreamReset": "10",
}
"""What only a new context can be given."""

GONE_SECONDS = 10.0
"""What a Java process without memory takes to end, at most."""
_logs: list[Path] = []
"""Where the local sessions of this process write their logs."""


def get(settings: SparkSettings) -> SparkSession:
    """The session in which a job runs.

    Raises `EnvironmentProblem` where none can be made (no Java, jars out of reach) with what to do about it.
    """
    # It prints a page of JSON for every exception that l2a is about to say in a sentence.
    logging.getLogger("DataFrameQueryContextLogger").setLevel(logging.CRITICAL)
    existing = active() or _instantiated()
    if existing is not None:
        return _beside(existing)
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        submitted = _submitted(settings)
        return _beside(submitted, keeps=dict(submitted.sparkContext.getConf().getAll()))
    return _local(settings)


def active() -> SparkSession | None:
    """The session that this thread's other code uses, if there is one."""
    return SparkSession.getActiveSession()


def make_active(session: SparkSession) -> None:
    """Gives a thread back the session that it used before: working with a session makes it the active one."""
    jvm = session.sparkContext._jvm
    if jvm is not None and session.sparkContext._jsc is not None:
        SparkSession._activeSession = session
        jvm.SparkSession.setActiveSession(session._jsparkSession)


def check_alive(session: SparkSession, error: Exception) -> None:
    """Raises `EnvironmentProblem` in the place of an error that came of the end of a local session's Java process."""
    java = getattr(session.sparkContext._gateway, "proc", None)
    # A call whose answer never came is a plain Py4JError.
    unanswered = isinstance(error, (OSError, Py4JError)) and not isinstance(error, Py4JJavaError)
    broken = unanswered or "OutOfMemoryError" in str(error)
    if java is None or not broken or not _logs:
        return
    try:
        java.wait(GONE_SECONDS)
    except subprocess.TimeoutExpired:
        return
    raise EnvironmentProblem(
        "Spark's Java process ended in the middle, as it does when its memory runs out: give it more "
        f"(L2A_SPARK__DRIVER_MEMORY or [spark] driver_memory) and run the same command again. Its log: {_logs[-1]}"
    ) from error


def _instantiated() -> SparkSession | None:
    session = SparkSession._instantiatedSession
    return session if session is not None and session.sparkContext._jsc is not None else None


def _beside(existing: SparkSession, keeps: Collection[str] = ()) -> SparkSession:
    """Our own session on an existing context: same executors and catalog, SQL settings of its own.

    keeps: settings that are left as they are, unless they are among the rules.
    """
    if DELTA_EXTENSION not in (existing.conf.get(EXTENSIONS, "") or ""):
        raise EnvironmentProblem(
            "the Spark session that exists already knows no Delta tables. Start it with the package "
            f"{jars.coordinates()} and " + " ".join(f"--conf {key}={value}" for key, value in DELTA.items())
        )
    session = existing.newSession()
    tuning = {key: value for key, value in TUNING.items() if key not in keeps}
    for key, value in {**tuning, **RULES}.items():
        session.conf.set(key, value)
    return session


def _submitted(settings: SparkSettings) -> SparkSession:
    SparkContext._ensure_initialized()  # else the configuration that was submitted cannot be seen
    submitted = SparkConf()
    theirs = submitted.get(EXTENSIONS, "") or ""
    secret = {key: value for key, value in {**CONTEXT, **settings.secrets}.items() if not submitted.contains(key)}
    builder = SparkSession.builder.appName("l2a")
    for key, value in {**secret, **DELTA}.items():
        builder = builder.config(key, value)
    if theirs:
        builder = builder.config(EXTENSIONS, ",".join(dict.fromkeys([*theirs.split(","), DELTA_EXTENSION])))
    try:
        return builder.getOrCreate()
    except PySparkException as error:
        raise EnvironmentProblem(
            f"no Delta tables in this spark-submit: add --packages {jars.coordinates()} (or --jars). {error}"
        ) from error


def _local(settings: SparkSettings) -> SparkSession:
    cores = _cores(settings.master)
    conf = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": settings.driver_memory,
        "spark.driver.extraJavaOptions": "-XX:+UseParallelGC -Duser.timezone=UTC",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions or max(cores, 1)),
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",
        # A night has more plans than the 100 that Spark keeps compiled, so that each would be compiled every night.
        "spark.sql.codegen.cache.maxEntries": "1000",
        # Else each operation on a column first tells Java where in Python it stands, for errors that we say ourselves.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        **CONTEXT,
        **DELTA,
        **TUNING,
        **RULES,
        **jars.with_own(jars.configuration(settings), settings.conf),
    }
    if settings.master.startswith("local"):
        conf.setdefault("spark.driver.bindAddress", "127.0.0.1")
        conf.setdefault("spark.driver.host", "127.0.0.1")
    builder = SparkSession.builder.master(settings.master).appName("l2a")
    for key, value in conf.items():
        builder = builder.config(key, value)
    log = Path(settings.log or Path(tempfile.gettempdir()) / f"l2a-spark-{os.getpid()}.log")
    _logs.append(log)
    # It prints a traceback on its own where the Java process has ended, which `check_alive` says in a sentence.
    logging.getLogger().addFilter(lambda record: record.funcName != "send_command")
    # Workers import l2a and spark_jobs from where this process does.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    # Threads that wait awake would take the cores from Spark's own. (Its workers have one thread each, by Spark.)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    since = log.stat().st_size if log.exists() else 0
    try:
        with _stderr_into(log):
            session = builder.getOrCreate()
    except Exception as error:
        raise EnvironmentProblem(_why_not(log, since, error)) from error
    if not settings.log:
        atexit.register(_remove, log, os.getpid())
    if not settings.jars and not {"spark.jars", "spark.jars.packages"} & set(settings.conf):
        jars.remember(session.sparkContext.getConf().get("spark.jars", "") or "")
    return session


def _cores(master: str) -> int:
    if not master.startswith("local["):
        return 1 if master == "local" else 2
    inside = master[len("local[") :].split("]")[0].split(",")[0]
    return os.cpu_count() or 1 if inside == "*" else int(inside)


@contextlib.contextmanager
def _stderr_into(log: Path) -> Iterator[None]:
    """The JVM inherits our standard error when it starts, and keeps it: give it a file instead of the terminal."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    terminal = os.dup(2)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(file)


def _remove(log: Path, process: int) -> None:
    """Removes a log that nobody will be referred to: nothing ended in a traceback, and Spark's Java process lives."""
    java = getattr(SparkContext._gateway, "proc", None)
    failed = getattr(sys, "last_value", None) is not None or (java is not None and java.poll() is not None)
    if os.getpid() == process and not failed:
        log.unlink(missing_ok=True)


def _why_not(log: Path, since: int, error: Exception) -> str:
    """since: bytes that the log held before this start, of earlier ones."""
    said = log.read_bytes()[since:].decode("utf-8", errors="replace") if log.exists() else ""
    if "JAVA_HOME is not set" in said or "java: command not found" in said or "java: not found" in said:
        return "Spark needs Java 17 or 21 and found none: install one, or set JAVA_HOME. `l2a doctor` checks it."
    if "UnsupportedClassVersionError" in said:
        return "Spark needs Java 17 or 21, this one is older: point JAVA_HOME at a newer one (`l2a doctor` checks it)."
    if "download failed" in said or "unresolved dependency" in said or "UNRESOLVED DEPENDENCIES" in said:
        return (
            f"Delta's jars ({jars.coordinates()}) could not be resolved. Offline: put them into a folder "
            "and set [spark] jars. Online: a half-finished download may poison the cache: delete the Ivy cache "
            f"(~/.ivy2.5.2) and io/delta under ~/.m2/repository, or set [spark] ivy to a fresh folder. Details: {log}"
        )
    if "No space left on device" in said:
        return f"the disk is full: Spark could not start. Details: {log}"
    return f"Spark could not start: {str(error).strip().splitlines()[0]} Details: {log}"
