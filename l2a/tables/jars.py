"""Delta's jars: their coordinates, where they come from, and the memory of a finished resolution."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from pathlib import Path

from l2a.errors import UsageError
from l2a.settings import SparkSettings

# What Delta's published dependencies name although Spark brings it in the version that it was built with.
BROUGHT_BY_SPARK = (
    "org.apache.hadoop:*,org.apache.parquet:*,org.apache.logging.log4j:*,org.slf4j:*,com.fasterxml.jackson.core:*,"
    "com.github.luben:*,org.xerial.snappy:*,org.roaringbitmap:*,org.locationtech.jts:*,io.airlift:*"
)


def coordinates() -> str:
    """Maven coordinates of the Delta that matches the installed packages."""
    spark = importlib.metadata.version("pyspark")
    delta = importlib.metadata.version("delta-spark")
    return f"io.delta:delta-spark_{'.'.join(spark.split('.')[:2])}_2.13:{delta}"


def configuration(settings: SparkSettings) -> dict[str, str]:
    """Spark configuration that brings the jars: from a folder, from a remembered resolution, or from Maven.

    Raises `UsageError` for a folder without them.
    """
    if settings.jars:
        jars = sorted(Path(settings.jars).glob("*.jar"))
        if not any("delta-spark" in jar.name for jar in jars):
            raise UsageError(f"setting [spark] jars: the folder {settings.jars} holds no delta-spark jar")
        return {"spark.jars": ",".join(map(str, jars))}
    ivy = {"spark.jars.ivy": settings.ivy} if settings.ivy else {}
    known = [jar for jar in remembered() if jar.startswith(settings.ivy or "")]
    if known:
        return {"spark.jars": ",".join(known), **ivy}
    return {"spark.jars.packages": coordinates(), "spark.jars.excludes": BROUGHT_BY_SPARK, **ivy}


def with_own(ours: dict[str, str], theirs: dict[str, str]) -> dict[str, str]:
    """Our configuration with a user's over it; jars and packages of both are brought."""
    joined: dict[str, str] = {
        key: ",".join(dict.fromkeys([*ours[key].split(","), *theirs[key].split(",")]))
        for key in ("spark.jars", "spark.jars.packages")
        if key in ours and key in theirs
    }
    return {**ours, **theirs, **joined}


def remembered() -> list[str]:
    """The jars of the last resolution, if all of them are still there."""
    try:
        known = _memory().read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return known if all(Path(jar).is_file() for jar in known) else []


def remember(spark_jars: str) -> None:
    """Notes a finished resolution (`spark.jars` of a running session), so that only the first start asks Maven."""
    paths = [jar.removeprefix("file://").removeprefix("file:") for jar in spark_jars.split(",") if jar]
    with contextlib.suppress(OSError):  # a cache that cannot be written only costs the next start some seconds
        _memory().parent.mkdir(parents=True, exist_ok=True)
        _memory().write_text("\n".join(paths), encoding="utf-8")


def _memory() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "l2a" / (coordinates().replace(":", "_") + ".jars")
