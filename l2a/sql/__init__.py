"""SQL for analysts: every table and view of a warehouse by name, without Spark and without Java."""
