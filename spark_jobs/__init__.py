"""The steps: one file a job. Each reads tables, calls l2a, writes a table.

A job runs as `l2a <step> ARGS` and as `spark-submit spark_jobs/<step>.py ARGS`, with the same arguments.
"""
