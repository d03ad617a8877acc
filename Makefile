# Every target makes what it needs; nothing else has to be installed by hand.
# PYTHON chooses the interpreter of an environment that is not there yet, EXTRA passes options on to
# pytest, and UV names a uv that installs in place of pip, in a fraction of the time.
PYTHON ?= python3
UV ?=
VENV ?= .venv
BIN := $(VENV)/bin
pip := $(BIN)/python -m pip --python
install = $(if $(UV),$(UV) pip install --compile-bytecode --python $(1),$(pip) $(1) install) --quiet
extras = $(shell $(BIN)/python -c "import tomllib; \
	print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies'], sep=',')")
# Each worker takes neighbours, which share servers, and later half of what another has left.
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
WHEEL_VENV ?= .venv-wheel
# The requirements that the wheel is tested with: `oldest` are the releases that it promises.
LOCK ?= test-wheel
# What depends on the interpreter and on what is in the wheel; not the servers around it.
WHEEL_TESTS ?= tests/managers tests/observability tests/tokens tests/http tests/security tests/frameworks tests/devices \
	tests/django tests/cli tests/testing tests/budget tests/stores/test_contract.py tests/stores/test_sqlite.py \
	tests/test_public_names.py tests/machines/test_service_token*.py

# Tests start a hundred processes: each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo demo-forward test test-slow fuzz chaos mutants coverage package sbom test-wheel lint spelling workflows types \
	public-types format words docs bench bench-capacity bench-scale bench-servers bench-threads budget lock clean

help:  ## What can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/package.installed: pyproject.toml | $(BIN)/python
	$(call install,$(BIN)/python) --no-deps --editable .
	@touch $@

# What each purpose needs, as `make lock` wrote it down; installed again when that changes.
$(VENV)/%.installed: requirements/%.txt | $(VENV)/package.installed
	$(call install,$(BIN)/python) --require-hashes -r $<
	@touch $@

demo: $(VENV)/demo.installed  ## Start the Flask and the Starlette demo on one login
	@$(BIN)/python examples/demo.py $(ARGS)

demo-forward: $(VENV)/test.installed  ## Start one login for any backend, behind nginx and Caddy
	@PYTHONPATH=examples $(BIN)/python examples/forward-auth/forward_demo.py

test: $(VENV)/test.installed  ## Run the tests that are quick
	$(PYTEST) -m "not slow" $(EXTRA)

test-slow: $(VENV)/test.installed  ## Run the tests that take long
	$(PYTEST) -m slow $(EXTRA)

fuzz: $(VENV)/test.installed  ## Fuzz for as long as you like: ARGS='--minutes 60'
	$(BIN)/python tests/fuzz/run.py $(ARGS)

chaos: $(VENV)/test.installed  ## Processes, faults and a judge: ARGS='--minutes 10 --store redis'
	$(BIN)/python -m tests.feed.chaos.run $(ARGS)

mutants: $(VENV)/test.installed  ## Break the rules in one place at a time; each must be noticed: ARGS='--rule rotation'
	$(BIN)/python -m tests.mutants.run $(ARGS)

coverage: $(VENV)/test.installed  ## Run the quick tests with the branch coverage gate
	$(PYTEST) -m "not slow" --cov --cov-report=term $(EXTRA)

package: $(VENV)/build.installed  ## Build sdist and wheel, twice with the same bytes
	rm -rf dist build
	$(BIN)/python -m build --quiet --no-isolation --outdir dist
	umask 077 && TZ=Asia/Tokyo $(BIN)/python -m build --quiet --no-isolation --outdir build
	diff -r dist build
	$(BIN)/twine check --strict dist/*

sbom: package  ## Install the wheel with all its extras; list what that brings, in sbom.cdx.json
	$(BIN)/python -m venv --clear --without-pip $(WHEEL_VENV)-extras
	$(call install,$(WHEEL_VENV)-extras/bin/python) "$$(echo dist/*.whl)[$(extras)]"
	$(pip) $(WHEEL_VENV)-extras/bin/python check
	$(BIN)/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
		--mc-type library --output-file sbom.cdx.json $(WHEEL_VENV)-extras/bin/python

test-wheel: package  ## Run the quick tests against the wheel, with the oldest dependencies: LOCK=oldest
	$(PYTHON) -m venv --clear --without-pip $(WHEEL_VENV)
	$(call install,$(WHEEL_VENV)/bin/python) --require-hashes -r requirements/$(LOCK).txt
	$(call install,$(WHEEL_VENV)/bin/python) --no-deps dist/*.whl
	$(pip) $(WHEEL_VENV)/bin/python check
	$(subst $(BIN),$(WHEEL_VENV)/bin,$(PYTEST)) -m "not slow" $(WHEEL_TESTS) $(EXTRA) \
		$(if $(filter oldest,$(LOCK)),-W ignore::DeprecationWarning)  # of others, in their old releases

lint: $(VENV)/lint.installed  ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

spelling: $(VENV)/lint.installed  ## Check spelling
	$(BIN)/codespell

workflows: $(VENV)/lint.installed  ## Check .github: by its schemas, and for known mistakes
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[0-9]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/zizmor --offline --quiet --no-progress .github

types: $(VENV)/types.installed  ## Check types, twice
	$(BIN)/mypy
	$(BIN)/pyright

# Pyright takes the packages of the Python that it finds first.
public-types: $(VENV)/types.installed  ## Check that all public names have types, as editors see them
	@mkdir -p .cache
	PATH="$(abspath $(BIN)):$$PATH" pyright --verifytypes sessiongate --ignoreexternal \
		> .cache/public-types.txt || { cat .cache/public-types.txt; exit 1; }

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

bench: $(VENV)/types.installed  ## Measure, beside what one would pick instead
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-capacity: $(VENV)/types.installed  ## Measure what a call and a session cost a server
	$(BIN)/python benchmarks/capacity.py $(ARGS)

bench-scale: $(VENV)/types.installed  ## Measure a million sessions, beside a thousand
	$(BIN)/python benchmarks/scale.py $(ARGS)

bench-servers: $(VENV)/types.installed  ## Measure whole servers, with and without us
	$(BIN)/python benchmarks/servers.py $(ARGS)

bench-threads: $(VENV)/types.installed  ## Measure one manager under many threads
	$(BIN)/python benchmarks/threads.py $(ARGS)

budget: $(VENV)/test.installed  ## Record what operations cost, for this Python
	$(BIN)/python tests/budget/counting.py --write

# One release of each package for all purposes: `types` needs the most, and its choice binds the others.
compile = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 pyproject.toml
locked = $(compile) --generate-hashes --custom-compile-command 'make lock' $(ARGS)
bound = $(locked) --constraints requirements/types.txt

lock: $(VENV)/lock.installed  ## Lock the dependencies; their newest releases: ARGS=--upgrade
	$(locked) --all-extras --group types --output-file requirements/types.txt
	$(bound) --all-extras --group test --output-file requirements/test.txt
	$(bound) --all-extras --group test-wheel --output-file requirements/test-wheel.txt
	$(bound) --extra demo --output-file requirements/demo.txt
	for group in build docs lint lock; do \
		$(bound) --group $$group --output-file requirements/$$group.txt || exit; done
	mkdir -p .cache
	$(compile) --all-extras --resolution lowest-direct > .cache/oldest.txt
	$(locked) --all-extras --group test-wheel --constraints .cache/oldest.txt \
		--output-file requirements/oldest.txt

clean:  ## Remove all that was made
	rm -rf $(VENV) $(WHEEL_VENV)* .demo htmlcov dist build sbom.cdx.json site .cache .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis
