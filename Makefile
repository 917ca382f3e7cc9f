# What can be done here; "make" alone lists it. Every target installs what it needs.

BIN := .venv/bin
LOCK_FLAGS ?=
PYTEST_FLAGS ?=
# The tests of one file stay together, because they share what they start; files begin in order, so
# that the quick ones of tests/unit come last and no process is left alone with a long one.
PYTEST = $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0

# The first Python that is new enough and has pip; first those for which PyPI has a redis-server. It
# installs into .venv from outside, because Debian's venv module cannot put pip there unless
# python3-venv is installed.
PROBE := import sys, importlib.util as u; sys.exit(sys.version_info < (3, 11) or not u.find_spec("pip"))
PYTHON ?= $(shell for p in python3.12 python3.11 python3 python3.13; do \
	$$p -c '$(PROBE)' 2>/dev/null && echo $$p && break; done)
PIP = $(PYTHON) -m pip --disable-pip-version-check -q --python $(BIN)/python install
SYNC = $(PIP) --no-compile --require-hashes
# Build tools come from the lock, so that nothing without a hash is fetched or run.
SELF = $(PIP) --no-compile --no-deps --no-build-isolation --no-index -e .

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install dev demo console test check lint aws-check chaos bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/.installed ## Install what the service needs into .venv; gives .venv/bin/fanfold
	@$(MAKE) --no-print-directory console || \
		echo "without the console: the service works, and / tells how to build it" >&2

dev: .venv/.installed-dev ## Install what developing needs too

demo: install ## Run the demonstration job, with nothing configured
	@$(BIN)/fanfold demo

console: app/static/index.html ## Build the console and GraphiQL, with Node from PATH or from PyPI

test: dev console ## Run the tests; PYTEST_FLAGS="-n 0 -x -m 'not long'" does it one by one
	@$(PYTEST) $(PYTEST_FLAGS)

check: lint console ## Lint, types, imports and tests: what CI runs
	@$(PYTEST) $(PYTEST_FLAGS)

lint: dev ## Everything of "make check" but the tests
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/mypy
	@$(BIN)/pyright
	@$(BIN)/lint-imports

# Nothing is skipped: CI must have Node, and so must this.
aws-check: dev ## Check the AWS template, its state machines, resolvers and schema
	@CI=1 $(BIN)/pytest -n 0 -p no:cacheprovider tests/deploy/test_aws.py \
		tests/unit/test_dynamodb_definition.py tests/unit/test_schema_appsync.py \
		tests/unit/test_schema_sdl.py tests/unit/test_state_machines.py $(PYTEST_FLAGS)

chaos: dev ## Kill everything at random, by 200 schedules, and more; CHAOS_SEED=n repeats one
	@LONG_OUTAGE=1 CHAOS_SCHEDULES=$${CHAOS_SCHEDULES:-200} RECOVERY_SAMPLES=$${RECOVERY_SAMPLES:-10} \
		$(BIN)/pytest $(if $(CHAOS_SEED),tests/faults/test_chaos.py,tests/faults) $(PYTEST_FLAGS)

bench: dev ## Measure
	@$(BIN)/python -m bench

lock: ## Resolve the locks again; LOCK_FLAGS=--upgrade takes newer versions
	@test -n "$(PYTHON)" || { echo "needs Python 3.11 or newer with pip" >&2; exit 1; }
	@tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT && \
	$(PYTHON) -m venv --without-pip "$$tools" && \
	$(PYTHON) -m pip --disable-pip-version-check -q --python "$$tools/bin/python" \
		install 'uv>=0.9,<1' && \
	compile="$$tools/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate $(LOCK_FLAGS) pyproject.toml" && \
	$$compile --group build -o requirements.lock && \
	$$compile --extra aws -c requirements.lock -o requirements-aws.lock && \
	echo 'pandas<3' > "$$tools/spark.in" && \
	$$compile --extra aws --extra spark -c requirements-aws.lock -c "$$tools/spark.in" \
		--no-emit-package pyspark --no-emit-package py4j -o requirements-spark.lock && \
	$$compile --group build --group dev -c requirements.lock -c requirements-aws.lock \
		-o requirements-dev.lock

clean: ## Remove the environment and every cache; keeps .fanfold, where jobs and results live
	@rm -rf .venv app/static console/node_modules deploy/aws/node_modules .coverage .coverage.* \
		htmlcov dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Everything in the folder but what is installed or generated there.
CONSOLE := $(shell find console -name node_modules -prune -o -type f ! -name generated.ts -print)

app/static/index.html: $(CONSOLE) schema/schema.graphql | $(BIN)/python
	@echo "building the console"
	@INSTALL="$(SYNC)" console/build.sh

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "needs Python 3.11 or newer with pip" \
		"(Debian: apt-get install python3 python3-pip)" >&2; exit 1; }
	@$(PYTHON) -m venv --clear --without-pip .venv

.venv/.installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing into .venv"
	@$(SYNC) -r requirements.lock
	@$(SELF)
	@touch $@

.venv/.installed-dev: requirements-dev.lock .venv/.installed
	@echo "installing what developing needs"
	@$(SYNC) --use-pep517 --no-build-isolation -r requirements-dev.lock
	@touch $@
