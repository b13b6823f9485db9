# Everything a newcomer types. Each target first makes what it needs, and does nothing the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
HOME_DIR := $(abspath $(or $(CARELAKE_HOME),var))
READY := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup run up down env status test test-all fuzz increments mutations lint chaos bench accuracy soak docs lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY) ## make .venv with everything pinned

$(READY): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "Carelake needs Python 3.11 to 3.13; name one: make PYTHON=python3.12 setup")'
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@$(BIN)/python -c 'import pathlib, site; pathlib.Path(site.getsitepackages()[0], "carelake.pth").write_text(str(pathlib.Path().resolve()) + "\n")'
	@printf '#!%s\nfrom carelake.cli import main\nmain()\n' "$(abspath $(BIN))/python" > $(BIN)/carelake && chmod +x $(BIN)/carelake
	@touch $@

run: $(READY) ## a sample company through a real Airflow: marts, models, follow-ups
	@$(BIN)/python -m carelake.services run

up: $(READY) ## Airflow, MLflow, dbt docs and Data Docs on this machine
	@$(BIN)/python -m carelake.services up

down: $(READY) ## stop what `make up` started
	@$(BIN)/python -m carelake.services down

env: ## secrets for docker-compose.yml, into .env (kept if there)
	@$(PYTHON) -m carelake.services.env_file

status: $(READY) ## which services run
	@$(BIN)/python -m carelake.services status

test: $(READY) ## the fast tests, on all cores, a few minutes
	@$(PYTEST) -n auto --dist loadfile --no-loadscope-reorder -m "not slow and not campaign" tests

test-all: test ## all tests: also servers, browser, kills, Airflow (most of an hour)
	@$(PYTEST) -n 2 --dist loadfile -m "slow and not campaign" tests

fuzz: $(READY) ## 20,000 hostile files through extract and load (half an hour)
	@HOSTILE_CASES=20000 $(PYTEST) tests/hostile -k fuzz

increments: $(READY) ## 200 histories, each built by increments and at once (two hours; INCREMENTS_JOURNAL=FILE goes on)
	@$(PYTEST) -m campaign tests/dbt_project

mutations: $(READY) ## broken models, each seen by a test (some minutes)
	@$(BIN)/python -m tests.mutations --write

lint: $(READY) ## ruff, mypy, sqlfluff, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models

chaos: $(READY) ## 200 disturbances, each survived; writes docs/reliability.md (an hour or two)
	@$(BIN)/python -m tests.chaos --disturbances 200 --seed 1 --write

bench: $(READY) ## speed beside a peer or a limit, into benchmarks/results/latest.json
	@$(BIN)/python -m benchmarks

accuracy: $(READY) ## models on real labelled rows against their limits; skips without the data (half an hour)
	@$(PYTEST) -m campaign tests/benchmarks

soak: $(READY) ## an hour of arriving files on a 1-minute schedule: does anything grow?
	@$(BIN)/python -m benchmarks --only arrival --minutes 60 --every 1

docs: $(READY) ## remake the generated parts of docs/
	@$(BIN)/python docs/make_reference.py

lock: ## pin the requirements anew; the extra `deep` stays out, its PyTorch is gigabytes for all
	@$(BIN)/uv pip compile pyproject.toml --extra replica --extra server --extra tableau --extra dev --universal --generate-hashes \
		--no-emit-index-url --python-version 3.11 --quiet --output-file requirements.lock

clean: ## remove what was built: the environment and caches, never a home
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "cleaned; data under $(HOME_DIR) is left alone"
