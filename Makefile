# Every target makes what it needs; nothing else has to be installed by hand.
# PYTHON chooses the interpreter of an environment that is not there yet, EXTRA passes options on to
# pytest, and UV names a uv that installs in place of pip, in a fraction of the time.
PYTHON ?= python3
UV ?=
install = $(if $(UV),$(UV) pip install --compile-bytecode --python $(1),$(1) -m pip install) --quiet
# The first pip that knows dependency groups.
newer_pip = $(if $(UV),,$(1) -m pip install --quiet --upgrade 'pip>=25.1')
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n auto
WHEEL_VENV ?= .venv-wheel
# What depends on the interpreter and on what is in the wheel; not the servers around it.
WHEEL_TESTS ?= tests/managers tests/tokens tests/http tests/security tests/frameworks tests/devices \
	tests/cli tests/testing tests/budget tests/stores/test_contract.py tests/stores/test_sqlite.py \
	tests/test_public_names.py

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow fuzz coverage test-wheel lint types format words docs \
	bench bench-scale bench-servers bench-threads budget clean

help:  ## What can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# What each purpose needs, installed again when the dependencies change.
$(VENV)/%.installed: pyproject.toml | $(BIN)/python
	$(call newer_pip,$(BIN)/python)
	$(call install,$(BIN)/python) --editable . --group $*
	@touch $@

demo: $(VENV)/demo.installed  ## Start the Flask and the Starlette demo on one login
	@$(BIN)/python examples/demo.py $(ARGS)

test: $(VENV)/test.installed  ## Run the tests that are quick
	$(PYTEST) -m "not slow" $(EXTRA)

test-slow: $(VENV)/test.installed  ## Run the tests that take long
	$(PYTEST) -m slow $(EXTRA)

fuzz: $(VENV)/test.installed  ## Fuzz for as long as you like: ARGS='--minutes 60'
	$(BIN)/python tests/fuzz/run.py $(ARGS)

coverage: $(VENV)/test.installed  ## Run the quick tests with the branch coverage gate
	$(PYTEST) -m "not slow" --cov --cov-report=term $(EXTRA)

test-wheel: $(VENV)/build.installed  ## Build the wheel and run the quick tests against it
	rm -rf dist $(WHEEL_VENV)
	$(BIN)/python -m build --quiet --outdir dist $(if $(UV),--installer uv)
	$(PYTHON) -m venv $(WHEEL_VENV)
	$(call newer_pip,$(WHEEL_VENV)/bin/python)
	$(call install,$(WHEEL_VENV)/bin/python) --group wheel-test
	$(call install,$(WHEEL_VENV)/bin/python) --no-deps dist/*.whl
	$(WHEEL_VENV)/bin/python -m pytest -n auto -m "not slow" $(WHEEL_TESTS) $(EXTRA)

lint: $(VENV)/lint.installed  ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/types.installed  ## Check types, twice
	$(BIN)/mypy
	$(BIN)/pyright

format: $(VENV)/lint.installed  ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

words: $(VENV)/test.installed  ## Print the sentences of the documents that are long; it never fails
	$(BIN)/python -m tests.examples.long_sentences $(ARGS)

docs: $(VENV)/docs.installed  ## Build the documentation as a site, in site/
	rm -rf site
	$(BIN)/zensical build --clean --strict
	@! grep -rhoE '<(script|link|img|iframe)[^>]+(src|href)="?(https?:)?//[^ >]+' site --include='*.html' \
		|| { echo "a page loads something from elsewhere"; exit 1; }

bench: $(VENV)/bench.installed  ## Measure, beside what one would pick instead
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-scale: $(VENV)/bench.installed  ## Measure a million sessions, beside a thousand
	$(BIN)/python benchmarks/scale.py $(ARGS)

bench-servers: $(VENV)/bench.installed  ## Measure whole servers, with and without us
	$(BIN)/python benchmarks/servers.py $(ARGS)

bench-threads: $(VENV)/bench.installed  ## Measure one manager under many threads
	$(BIN)/python benchmarks/threads.py $(ARGS)

budget: $(VENV)/test.installed  ## Record what operations cost, for this Python
	$(BIN)/python tests/budget/counting.py --write

clean:  ## Remove all that was made
	rm -rf $(VENV) $(WHEEL_VENV)* .demo htmlcov dist build site .cache .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
