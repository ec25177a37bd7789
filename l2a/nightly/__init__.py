"""What a scheduler asks the tables: are they right, and is it time to train again? Without Spark."""
