"""What the tests share: one Spark session and one vLLM for all of them, and fresh warehouses.

Spark is imported when a test first asks for it, so that the fast tests start no JVM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import as_line, open_warehouse
from hypothesis import HealthCheck, settings
from small_spark import SMALL_QUERIES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from vllm_server import VllmServer

    from l2a.tables.warehouse import Warehouse

# No test asserts a time: on a busy machine an example takes as long as it takes.
settings.register_profile("l2a", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("l2a")
REAL_LOGS = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs Spark or vLLM, by its fixtures: `make test-fast` leaves both out, `make test` the latter."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "spark" in fixtures:
            item.add_marker("spark")
        if "vllm_server" in fixtures:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one session of a test process: two cores, two shuffle partitions, UTC."""
    from l2a.settings import SparkSettings
    from spark_jobs import session

    folder = tmp_path_factory.mktemp("spark")
    small = SparkSettings(
        master="local[2]",
        driver_memory="2g",
        shuffle_partitions=2,
        log=str(folder / "spark.log"),
        conf={"spark.sql.warehouse.dir": str(folder / "spark-warehouse"), **SMALL_QUERIES},
    )
    made = session.get(small)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """A real vLLM with the tiny model, on the CPU: started for the first test that asks for it, shared by all."""
    from vllm_server import tiny_vllm

    with tiny_vllm(tmp_path_factory.mktemp("vllm")) as server:
        yield server


@pytest.fixture
def warehouse(spark: SparkSession, tmp_path: Path) -> Warehouse:
    """An empty warehouse of its own."""
    return open_warehouse(spark, tmp_path / "warehouse")


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[[str, Iterable[Any]], str]:
    """Writes JSON lines (text and bytes as they are) to a path under the test's folder; returns the path."""

    def write(name: str, lines: Iterable[Any]) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(as_line(line) + b"\n" for line in lines))
        return str(path)

    return write


@pytest.fixture
def real_logs() -> Path:
    """The folder of real dialogue logs; a test that needs it is skipped where it is missing."""
    if not REAL_LOGS.is_dir():
        pytest.skip(f"no real logs at {REAL_LOGS}")
    return REAL_LOGS
