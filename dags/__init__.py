"""The DAGs: when, and in which order. What they share is in `dags.common`; the work is l2a's own steps."""
