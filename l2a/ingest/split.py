"""Train, dev or eval: a stable hash of the session, or of what must never lie on two sides, such as its customer."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from l2a.errors import UsageError

BUCKETS = 10_000


def split(shares: tuple[int, int, int], given: str | None) -> Column:
    """The split of a row with columns `group` (null: none) and `session_id`.

    shares: of train, dev and eval. given: the split that the files bring themselves: `eval` puts all there, `train`
    divides all between train and dev, in their shares and by the same hash.
    Raises `UsageError` where they have no share.
    """
    if given == "eval":
        return F.lit("eval")
    key = F.coalesce("group", "session_id")
    bucket = F.conv(F.substr(F.md5(key), F.lit(1), F.lit(8)), 16, 10).cast("bigint") % BUCKETS
    train, dev, held = shares
    total = train + dev + (0 if given == "train" else held)
    if not total:
        raise UsageError(f"--split train: [ingest] split_shares {list(shares)} leave nothing for train and dev")
    first, second = BUCKETS * train // total, BUCKETS * (train + dev) // total
    if given == "train":
        second = BUCKETS
    return F.when(bucket < first, "train").when(bucket < second, "dev").otherwise("eval")
