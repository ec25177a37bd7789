"""What the DAGs share: assets, steps under spark-submit, retries and what is said when they are used up."""
