# `make` alone lists the targets. Each target does its own set-up in .venv.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check fix docs bench bench-check faults lock clean

BIN := .venv/bin
# A run of the tests is many processes: what one compiled the others read.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## set up, then run a whole night on sample deliveries and print what came of it
	@tools/setup runtime
	@$(BIN)/etl demo

test: ## set up, install the MariaDB server when missing, run every test of the engine
	@tools/setup dev
	@tools/install-mariadb
	@$(BIN)/pytest -n 3 --dist worksteal --ignore=tests/tidy

check: ## format, lint, types, import rules, SQL style, house rules; needs no database
	@tools/setup dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar --nocolor sql
	$(BIN)/pytest --quiet tests/tidy

fix: ## mend what a machine can mend: formatting, import order, SQL layout
	@tools/setup dev
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --disable-progress-bar --nocolor sql

docs: ## run the README's commands and print what they really say, to paste back
	@tools/setup dev
	@$(BIN)/python -m tests.tidy.transcript README.md

bench: ## run the benchmarks and write benchmarks/results (ARGS="--quick", "--rows 200000")
	@tools/setup bench
	@tools/install-mariadb
	@.venv-bench/bin/python -m benchmarks $(ARGS)

bench-check: ## run the quick benchmarks; fail when a ratio fell by more than a fifth
	@tools/setup bench
	@tools/install-mariadb
	@.venv-bench/bin/python -m benchmarks --quick --check $(ARGS)

faults: ## set up, run the long fault runs: kills, pauses, power cuts (ARGS="--quick")
	@tools/setup dev
	@tools/install-mariadb
	@POLARS_MAX_THREADS=2 $(BIN)/pytest tests/faults $(ARGS)

# For maintainers, with uv on PATH. The development lock is held to the runtime lock, so
# that tests run on the versions that bill. Ranges are in pyproject.toml.
UV_LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --upgrade --quiet
lock: ## renew the lock files within the ranges of pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv on PATH" >&2; exit 2; }
	echo 'setuptools>=77' | $(UV_LOCK) pyproject.toml - --output-file requirements.lock
	$(UV_LOCK) pyproject.toml --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock
	$(UV_LOCK) pyproject.toml --group bench --constraint requirements.lock \
		--output-file requirements-bench.lock

clean: ## remove .venv, caches and build leftovers; var/ (your data) stays
	rm -rf .venv .venv-bench build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .coverage
	find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +
