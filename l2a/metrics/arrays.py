"""The SQL of `definitions` over arrays of sums, run by DuckDB: for bootstrap replicates, what-ifs and simulations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from l2a.metrics.definitions import METRICS, SUMS

if TYPE_CHECKING:
    import duckdb


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(":memory:", config={"threads": 1})


def metric_arrays(sums: np.ndarray, beta: float) -> Mapping[str, np.ndarray]:
    """The metrics of each row of sums.

    sums: float64 (rows, len(SUMS)), columns in the order of SUMS. Returns name -> float64 (rows,); NaN stands for null.
    """
    return expression_arrays(METRICS, sums, beta)


def expression_arrays(expressions: Mapping[str, str], sums: np.ndarray, beta: float) -> Mapping[str, np.ndarray]:
    """As `metric_arrays`, for any expressions over the columns of SUMS and `beta`."""
    import pyarrow as pa

    columns: dict[str, np.ndarray] = {name: sums[:, i] for i, name in enumerate(SUMS)}
    table = pa.table({"row": np.arange(len(sums)), "beta": np.full(len(sums), float(beta)), **columns})
    chosen = ", ".join(f"""cast({sql} as double) as "{name}" """ for name, sql in expressions.items())
    cursor = _connection().cursor()
    cursor.register("sums", table)
    found: pa.Table = cursor.sql(f"select {chosen} from sums order by row").to_arrow_table()
    return {name: found.column(name).to_numpy() for name in expressions}  # a null of Arrow is a NaN of numpy
