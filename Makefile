# payonce: every task is one word. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help setup check format test demo simulate chaos up stack bench readme lock

help: ## list the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: .venv/.complete ## make the virtual environment from the locked dependencies

# What the services import is compiled here once: as nothing is compiled later, each would do it at every start.
.venv/.complete: requirements.lock requirements-dev.lock pyproject.toml
	@echo "installing the locked dependencies into .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "payonce needs Python 3.11 or newer; name one with PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

check: setup ## format, lint, types, import walls, unit tests: under a minute
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --config pyproject.toml
	@$(BIN)/pytest -q tests/unit

format: setup ## bring the code into shape
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# schemathesis calls every operation's test alike, and of tests with one name xdist runs only one: that file runs alone.
ONE_NAMED := tests/services/test_checkout_api_openapi.py

test: setup ## every test, on real Kafka and PostgreSQL; a file stays in one of JOBS=3 processes
	@$(BIN)/pytest -q $(ONE_NAMED)
	@$(BIN)/pytest -q -n $(or $(JOBS),3) --dist loadfile --ignore $(ONE_NAMED) tests

demo: setup ## 200 payments and every life of one, through real Kafka and PostgreSQL; then the sums must agree
	@$(BIN)/python -m sandbox.demo

chaos: setup ## break every part for MINUTES=10 under traffic (SEED=n repeats a plan); nothing may be lost or doubled
	@$(BIN)/python -m sandbox.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) --report .cache/chaos-report.txt

simulate: setup ## SEEDS=1000 lives of the pipeline on in-memory ports, with faults between any two steps
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),1000)

up: setup ## the services against Stripe's test mode (STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET)
	@$(BIN)/python -m sandbox.world --stripe-test-mode --api-port 8000

stack: setup ## real Kafka and PostgreSQL on free ports, until Ctrl-C
	@$(BIN)/python -m sandbox.stack

bench: setup ## the canonical workload, two numbers
	@$(BIN)/python -m bench

readme: setup ## renew the README's table of settings
	@$(BIN)/python -m tests.readme

lock: ## compile the locked dependencies anew (needs uv)
	uv pip compile --quiet --upgrade --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml -o requirements.lock
	uv pip compile --quiet --upgrade --generate-hashes --no-annotate --no-header --no-emit-index-url --all-extras -c requirements.lock pyproject.toml -o requirements-dev.lock
