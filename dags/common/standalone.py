"""`make airflow`: Airflow on this machine with the DAGs, the connection and the pool, on the demo's warehouse.

    python -m dags.common.standalone demo [--port 8080]

Prints the address and the login, and stays until ctrl-C; then nothing of it runs any more. A training that was under
way goes on from its last checkpoint when Airflow is started again and looks for it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from tenacity import retry, retry_if_exception, retry_if_exception_type, stop_after_attempt, wait_fixed

from l2a.errors import EnvironmentProblem
from l2a.launch import launcher
from l2a.launch.tether import tether
from l2a.options import Command
from l2a.progress import say
from l2a.settings import load

USER = "admin"
START_SECONDS = 600.0
BUSY_SECONDS = 60
ANSWER_SECONDS = 3 * BUSY_SECONDS
"""Longer than Airflow itself waits for its database, so that what we hear is its answer."""
NIGHTS = 5
DAGS = Path(__file__).parents[1]
SMALL_SPARK = {
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -Duser.timezone=UTC",
}
"""Spark's defaults are made for clusters."""
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _database_was_busy(error: BaseException) -> bool:
    """SQLite takes one writer at a time, and Airflow answers 500 where another one held it too long.

    No answer at all is not asked for again here: what was asked may have been done.
    """
    return isinstance(error, urllib.error.HTTPError) and error.code >= 500


@dataclass(frozen=True)
class Airflow:
    """An Airflow that answers."""

    url: str
    password: str
    log: Path
    process: subprocess.Popen[bytes]

    @retry(retry=retry_if_exception(_database_was_busy), stop=stop_after_attempt(5), wait=wait_fixed(3), reraise=True)
    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the REST API (`/api/v2/...`); raises `urllib.error.HTTPError` where it is refused."""
        return _ask(self.url, method, path, body, self.token())

    def token(self) -> str:
        """A token of the one user."""
        said = _ask(self.url, "POST", "/auth/token", {"username": USER, "password": self.password}, "")
        return str(said["access_token"])


@contextlib.contextmanager
def airflow(home: Path, port: int, more: Mapping[str, str]) -> Iterator[Airflow]:
    """`airflow standalone` for the length of a `with` block; entered when it answers and has the pool.

    home: AIRFLOW_HOME. more: environment variables on top. However this process ends, Airflow's processes end with it.
    Raises `EnvironmentProblem` where it does not start.
    """
    home.mkdir(parents=True, exist_ok=True)
    password = _password(home)
    log = home / "standalone.log"
    # Airflow's tasks lead process groups of their own, so ending Airflow's group does not end them: the tether does.
    with tether():
        with log.open("ab") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "l2a.serving.keeper", sys.executable, "-m", "airflow", "standalone"],
                stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
                env=_environment(home, port, more),
            )  # fmt: skip
        running = Airflow(f"http://127.0.0.1:{port}", password, log, process)
        try:
            _wait_until_it_answers(running)
            _make_pool(running)
            yield running
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _environment(home: Path, port: int, more: Mapping[str, str]) -> dict[str, str]:
    url = f"http://127.0.0.1:{port}"
    here = {
        "AIRFLOW_HOME": str(home),
        # Its own default gives up on a busy database after five seconds.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home.absolute()}/airflow.db?timeout={BUSY_SECONDS}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(
            {"conn_type": "spark", "host": "local[2]", "extra": {"deploy-mode": "client"}}
        ),
        "PYSPARK_PYTHON": sys.executable,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "OMP_NUM_THREADS": "1",
        "L2A_SPARK__CONF": json.dumps(SMALL_SPARK),
        "L2A_SPARK__DRIVER_MEMORY": "1g",
        "no_proxy": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **here, **more}


def _password(home: Path) -> str:
    """The password of this home: made up at the first start, in a file that only its owner reads."""
    path = home / "passwords.json"
    if not path.exists():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({USER: secrets.token_urlsafe(12)}, file)
    return str(json.loads(path.read_text(encoding="utf-8"))[USER])


def _wait_until_it_answers(running: Airflow) -> None:
    started = said = time.monotonic()
    while True:
        if running.process.poll() is not None:
            raise EnvironmentProblem(f"Airflow did not start; its log is {running.log}")
        with contextlib.suppress(OSError, ValueError):
            health = _ask(running.url, "GET", "/api/v2/monitor/health", None, "")
            parts = (health.get(part) or {} for part in ("metadatabase", "scheduler", "dag_processor"))
            if all(part.get("status") == "healthy" for part in parts):
                return
        now = time.monotonic()
        if now - started > START_SECONDS:
            raise EnvironmentProblem(f"Airflow did not answer within {START_SECONDS:.0f} s; its log is {running.log}")
        if now - said > 20:
            said = now
            say(f"Airflow is still starting, {now - started:.0f} s so far")
        time.sleep(1)


@retry(retry=retry_if_exception_type(TimeoutError), stop=stop_after_attempt(3), reraise=True)
def _make_pool(running: Airflow) -> None:
    """One slot: one step asks LLMs at a time, with as many calls in flight as `[llm] max_in_flight` says.

    Making it twice is making it once, so silence (a machine that is busy with a first start) is no reason to give up.
    """
    pool = {"name": "llm_endpoints", "slots": 1, "description": "steps that may ask an LLM", "include_deferred": False}
    try:
        running.ask("POST", "/api/v2/pools", pool)
    except urllib.error.HTTPError as error:
        if error.code != 409:  # there already
            raise


def _ask(url: str, method: str, path: str, body: Any, token: str) -> Any:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}{path}", content, headers, method=method)
    with _NO_PROXY.open(request, timeout=ANSWER_SECONDS) as response:
        said = response.read()
    return json.loads(said) if said else None


def _nights(landing: Path) -> str:
    """Made-up nights up to yesterday where there are none yet; the first night."""
    if not landing.is_dir():
        first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=NIGHTS)
        words = ["synth", "--nights", str(NIGHTS), "--dialogues", "120", "--seed", "7", "--bad-share", "0.01"]
        command = [sys.executable, "-m", "l2a.cli", *words, "--landing", str(landing), "--start", first.isoformat()]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return min(path.name.removeprefix("dt=") for path in landing.glob("dt=*"))


def _leave_behind_settings(here: Mapping[str, str]) -> None:
    """Sets these settings in the place of all others but Spark's: whatever l2a is set to on this machine, the demo must
    not pay its endpoints, and neither promote in its registry nor stop its trainings."""
    for name in [name for name in os.environ if name.startswith("L2A_") and not name.startswith("L2A_SPARK__")]:
        del os.environ[name]
    os.environ.update(here)


def _end_trainings(warehouse: str) -> None:
    """Trainings are made to outlive Airflow; here they must not outlive ctrl-C."""
    jobs = launcher(load(None, {"warehouse": warehouse}))
    for name in jobs.names():
        if not jobs.status(name).state.over:
            say(f"the training {name} is {jobs.interrupt(name).state}; it goes on when Airflow runs again")


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
def command(folder: Path, port: int) -> None:
    """Run Airflow on the demo in FOLDER until ctrl-C."""
    folder = folder.absolute()
    warehouse = str(folder / "warehouse")
    first = _nights(folder / "landing")
    (folder / "l2a.toml").touch()
    here = {
        "L2A_CONFIG": str(folder / "l2a.toml"),
        "L2A_WAREHOUSE": warehouse,
        "L2A_NIGHTLY__LANDING": str(folder / "landing"),
        "L2A_NIGHTLY__FIRST_NIGHT": first,
        "L2A_RETRAIN__RECIPE": "demo",
        "L2A_RETRAIN__MIN_NEW_TURNS": "500",
    }
    _leave_behind_settings(here)
    say("starting Airflow: a minute or two")
    try:
        with airflow(folder / "airflow", port, {}) as running:
            say(f"Airflow is at {running.url}, user {USER}, password {running.password}; its log is {running.log}")
            say(f"Unpause nightly_logs to take the nights from {first} on, and retrain to train when they are in.")
            say(f"Its settings are those of {folder / 'l2a.toml'} alone. ctrl-C ends it.")
            running.process.wait()
            raise EnvironmentProblem(f"Airflow ended by itself; its log is {running.log}")
    except KeyboardInterrupt:
        say("Airflow has ended")
    finally:
        _end_trainings(warehouse)


if __name__ == "__main__":
    # `kill` ends it as ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command()
