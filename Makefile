# Every target does its own set-up, under this folder, from any Python 3.11 to 3.13: make PYTHON=/path/to/python3.12
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory
export PYTHON
export PYTHONNOUSERSITE = 1
export SAM_CLI_TELEMETRY = 0
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

# Where nobody can write to the home, as in some containers, every tool's caches go below the repository instead.
SPARE_HOME := $(shell [ -d "$$HOME" ] && [ -w "$$HOME" ] || { mkdir -p .local/home && echo "$$PWD/.local/home"; })
ifneq ($(SPARE_HOME),)
export HOME := $(SPARE_HOME)
endif

SETUP := sh infra/setup/setup.sh
TARGET = $(if $(STAGE),--stage $(STAGE)) $(if $(REGION),--region $(REGION))
MAIN := .venv/bin

# In the order of their turns: what takes long first, so that in the end no worker waits for another.
SUITES := $(addprefix tests/,e2e integration chaos web dags infra contract unit)

.PHONY: help setup vision demo test lint format build gate site up down deploy smoke destroy deploy-dags deploy-schedules airflow flood integration-localstack bench bench-gate chaos soak browser postgres java lock clean

help: ## List every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' Makefile

setup: ## Make .venv, with the perennial command, and the environment of monitoring's HTML reports
	@$(SETUP) environments.py main monitor

vision: ## Make the environment that trains networks: PyTorch, CPU only
	@$(SETUP) environments.py vision

demo: ## Show one whole loop on iris: data, Airflow, gate, registry, API, form (KEEP=1: stay up)
	@$(SETUP) environments.py main ministack airflow node
	@$(MAIN)/python -m perennial.demo $(if $(KEEP),--keep)

test: lint browser postgres java ## Check and test everything
	@$(SETUP) environments.py main ministack airflow sam node monitor mlflow spark schemas schemathesis serve-image images --if-possible vision
	@$(MAIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(SUITES) $(PYTEST)

lint: ## Check style, types, who imports whom, templates and what is known to be insecure
	@$(SETUP) environments.py main checkov
	@$(MAIN)/ruff check .
	@$(MAIN)/ruff format --check .
	@$(MAIN)/mypy
	@$(MAIN)/lint-imports --no-logo
	@$(MAIN)/python -m infra.checks

format: ## Bring the code into the one style
	@$(SETUP) environments.py main
	@$(MAIN)/ruff check --fix .
	@$(MAIN)/ruff format .

build: ## Build what is deployed: build/api and build/score for Lambda, frontend/dist for S3
	@$(SETUP) environments.py main node
	@$(MAIN)/python -m perennial.deploy package
	@$(MAIN)/python -m perennial.deploy form

gate: ## See that what was built may ship: processor, C library, size, what is in it, and that it imports
	@$(SETUP) environments.py main
	@$(MAIN)/python -m perennial.deploy gate

site: ## Build the form
	@$(SETUP) environments.py main node
	@$(MAIN)/python -m perennial.deploy form

up: ## Run a local AWS with the API and the form until Ctrl-C (DETACH=1: until make down)
	@$(SETUP) environments.py main monitor ministack node
	@$(MAIN)/python -m perennial.deploy up $(if $(DETACH),--detach)

down: ## End the local AWS that make up DETACH=1 left running
	@$(SETUP) environments.py main
	@$(MAIN)/python -m perennial.deploy down

deploy: ## Deploy to AWS and publish the form (STAGE=prod REGION=us-east-1 PARAMETERS="Name=value ...")
	@$(SETUP) environments.py main node
	@$(MAIN)/python -m perennial.deploy cloud $(TARGET) $(if $(PARAMETERS),--parameters '$(PARAMETERS)')

smoke: ## Ask a stage on AWS whether it works: alive, ready, predictions, the form (STAGE=prod)
	@$(SETUP) environments.py main
	@$(MAIN)/python -m perennial.deploy smoke $(TARGET)

destroy: ## Remove a stage from AWS; its data stay (STAGE=staging, DATA=delete CONFIRM=staging: they go too)
	@$(SETUP) environments.py main
	@$(MAIN)/python -m perennial.deploy destroy $(TARGET) $(if $(DATA),--data $(DATA)) $(if $(CONFIRM),--confirm $(CONFIRM))

deploy-dags: ## Send DAGs and specs to Amazon MWAA (STAGE=prod SPECS=examples UPDATE=1 DRY=1)
	@$(SETUP) environments.py main
	@$(MAIN)/python -m perennial.deploy dags $(if $(STAGE),--stage $(STAGE)) $(if $(REGION),--region $(REGION)) \
		$(if $(SPECS),--specs "$(SPECS)") $(if $(UPDATE),--update) $(if $(DRY),--dry-run)

deploy-schedules: ## Have AWS Batch train and monitor at the times of specs (STAGE=prod SPECS=examples DRY=1)
	@$(SETUP) environments.py main
	@$(MAIN)/python -m perennial.deploy schedules $(if $(STAGE),--stage $(STAGE)) $(if $(REGION),--region $(REGION)) \
		$(if $(SPECS),--specs "$(SPECS)") $(if $(DRY),--dry-run)

airflow: ## Run Airflow on the local AWS of make up, until Ctrl-C (PORT=8080 PERENNIAL_SPECS=examples)
	@$(SETUP) environments.py main airflow monitor
	@sh infra/setup/airflow.sh

flood: ## Score 500 files on a local AWS, told of again and again, while workers are killed (FILES=500)
	@$(SETUP) environments.py main ministack
	@PERENNIAL_FLOOD_FILES=$(or $(FILES),500) $(MAIN)/python -m pytest tests/integration/test_stack_scoring_flood.py

integration-localstack: postgres ## Run the tests of a stack on LocalStack, started without Docker and ended again
	@$(SETUP) environments.py main ministack localstack airflow monitor node
	@PERENNIAL_TEST_ENDPOINT=localstack $(MAIN)/python -m pytest -m stack tests/integration $(PYTEST)

bench: java ## Measure beside rivals; leaves benchmarks/RESULTS.md (ONLY=serving: one part anew)
	@$(SETUP) environments.py main ministack monitor rivals rivals-mlflow rivals-bentoml rivals-litserve spark
	@$(MAIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

bench-gate: ## See that no ratio fell back behind the one recorded in benchmarks/RESULTS.json
	@$(SETUP) environments.py main ministack rivals rivals-mlflow rivals-litserve
	@$(MAIN)/python -m benchmarks.gate

chaos: ## Inject faults, kills and hostile input in full; count what is lost, doubled or wrong (SEED=7)
	@$(SETUP) environments.py main ministack airflow node schemathesis serve-image
	@PERENNIAL_CHAOS=full PERENNIAL_CHAOS_REPORT=tests/chaos/RESULTS.md $(if $(SEED),PERENNIAL_CHAOS_SEED=$(SEED)) \
		$(MAIN)/python -m pytest -n 2 --dist loadfile --timeout 3600 tests/chaos $(PYTEST)

soak: ## An hour of mixed load on a local AWS: no error, and memory stays flat (MINUTES=10 SEED=7)
	@$(SETUP) environments.py main ministack node serve-image
	@PERENNIAL_SOAK_MINUTES=$(or $(MINUTES),60) PERENNIAL_SOAK_REPORT=tests/chaos/SOAK.md \
		$(if $(SEED),PERENNIAL_CHAOS_SEED=$(SEED)) $(MAIN)/python -m pytest tests/chaos/test_chaos_soak.py $(PYTEST)

browser: ## Find a Chromium or Chrome for the tests of the form
	@$(SETUP) environments.py main
	@$(SETUP) browser.py

postgres: ## Find a PostgreSQL server for the tests of SQL sources
	@$(SETUP) postgres.py

java: ## Find a Java 17 or newer for the tests of scoring with Spark
	@$(SETUP) java.py

lock: ## Pin all packages anew (UPGRADE=1: at their newest versions)
	@$(SETUP) environments.py
	@$(SETUP) lock.py $(if $(UPGRADE),--upgrade)

clean: ## Remove all that was built or set up; a running local AWS is ended first
	@if [ -x $(MAIN)/python ]; then $(MAIN)/python -m perennial.deploy down || true; fi
	rm -rf .venv .local build dist frontend/dist frontend/node_modules
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
