.PHONY: help install new test test-fast test-tools test-pulumi lint format typecheck mutate bench load recording clean

PYTHON ?= python3
export OUTPUT ANSWERS SAMPLE
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
SOURCES := benchmarks hooks scripts tests {{cookiecutter.project_slug}}

help: ## Show this list
	@$(PYTHON) scripts/make_help.py $(MAKEFILE_LIST)

install: .venv/installed ## Install the template's tools into .venv

.venv/installed: pyproject.toml scripts/install.py
	$(PYTHON) scripts/install.py

.venv/rendering: pyproject.toml scripts/install.py
	$(PYTHON) scripts/install.py --rendering

new: .venv/rendering ## Render a project into build/, or OUTPUT=folder; ANSWERS=file.yaml answers the questions
	@$(BIN)/python -m scripts.new

test: install ## Run all tests of the template
	$(BIN)/pytest -n logical

test-fast: install ## Run the fast tests, in less than a minute
	$(BIN)/pytest -n logical -m "not slow"

test-tools: install ## Run the tests of the tools in a rendered project, with their coverage
	$(BIN)/pytest tests/test_tools.py

test-pulumi: install ## Deploy rendered projects with the Pulumi CLI, in about 40 minutes
	@echo This takes about 40 minutes, mostly fixed waits of the AWS provider.
	$(BIN)/pytest tests/test_pulumi_cli.py

lint: install ## Lint the template and the code that it renders
	$(BIN)/ruff check --config pyproject.toml $(SOURCES)
	$(BIN)/ruff format --check --config pyproject.toml $(SOURCES)

format: install ## Format the template and the code that it renders, and fix what the linter can fix
	$(BIN)/ruff format --config pyproject.toml $(SOURCES)
	$(BIN)/ruff check --fix --config pyproject.toml $(SOURCES)

typecheck: install ## Check the types of the template's own code
	$(BIN)/ty check

mutate: install ## Run mutation testing on a rendered project; SAMPLE=60 tests a random sample
	$(BIN)/python -m scripts.mutate

bench: install ## Measure the figures in benchmarks/README.md
	$(BIN)/python -m benchmarks

load: install ## Send a thousand messages through the emulator with injected faults, in a few minutes
	$(BIN)/python -m benchmarks.load

recording: install ## Record docs/recording.svg again, in about a minute; not on Windows
	$(BIN)/python -m scripts.record

clean: ## Remove .venv, caches and coverage reports; keep rendered projects, also those in build/
	$(PYTHON) scripts/clean.py $(SOURCES)
