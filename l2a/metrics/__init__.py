"""Metrics: the seven, each one SQL expression over sums (`definitions`), with intervals over dialogues (`evaluate`)."""

from l2a.metrics.definitions import DENOMINATORS, METRIC_NAMES, METRICS, SUMS

__all__ = ["DENOMINATORS", "METRICS", "METRIC_NAMES", "SUMS"]
