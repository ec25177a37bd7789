"""Spark's settings in tests: many small queries, each run once."""

from __future__ import annotations

JVM = {
    # JIT compilation that optimises would cost more than it saves; all that is compiled has to fit its cache.
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=512m "
    "-Duser.timezone=UTC",
}
"""For every Spark of the tests."""

SMALL_QUERIES = {
    **JVM,
    # So would code for each query, and plans that change on the way; processes of the command line have both.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""For the test process's own session."""
