# Targets for users (`make demo`) and for contributors; CONTRIBUTING.md says when to use which.

PYTHON ?= python3
HOSTS  ?=

VENV  := .venv
BIN   := $(VENV)/bin
# Stamps: .venv is touched only when a pyproject.toml is newer, so that a second run needs no network.
RUN   := $(VENV)/.packages-installed
TOOLS := $(VENV)/.tools-installed

SOURCES := $(wildcard packages tests benchmarks examples scripts)
SHIPPED := packages/easycluster-protocol/src packages/easycluster-server/src
# Shipped code loses its annotations and future imports on the way, so neither counts.
VERMIN  := $(BIN)/vermin --quiet --violations --no-tips --exclude __future__.annotations
# The half for Windows, and that nothing but the other half needs names that Windows lacks.
WINDOWS := packages/easycluster-server/src/easycluster_server/_system/windows
MYPY_WINDOWS := --platform win32 --cache-dir .mypy_cache/windows --exclude _system/posix \
    packages/easycluster-protocol packages/easycluster-server $(wildcard $(WINDOWS)/*.py)
# The workers of pytest-xdist; tests that share something expensive name an xdist_group. A run ends whatever its tests
# do, so it has no limit here: tests/helpers/time_limits.py.
PYTEST  := -n auto --dist loadgroup

export PYTHON
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

.DEFAULT_GOAL := help
.PHONY: help demo test check format cover fuzz mutants bench build clean

help: ## show these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' Makefile

demo: $(RUN) ## run the demo, here or on hosts: make demo HOSTS="user@a b:kf=secret.key"
	@$(BIN)/python examples/demo.py $(HOSTS)

test: $(TOOLS) ## run the tests; ARGS="-k name" is handed to pytest
	@scripts/system_requirements
	@$(BIN)/python -m pytest $(PYTEST) $(ARGS)

check: $(TOOLS) ## format, lint, types, import directions, figures of the house, oldest Pythons, bytes that hosts get
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/mypy $(MYPY_WINDOWS)
	@$(BIN)/pyright
	@$(BIN)/lint-imports --no-logo
	@$(VERMIN) --target=3.6- --exclude-regex _system/windows $(SHIPPED)
	@$(VERMIN) --target=3.8- $(WINDOWS)
	@$(VERMIN) --target=3.6- packages/easycluster-bootstrap/src/easycluster_bootstrap/_on_host
	@$(VERMIN) --target=3.8- packages/easycluster-bootstrap/src
	@$(VERMIN) --target=3.10- packages/easycluster-client/src
	@$(BIN)/python scripts/house_figures
	@$(BIN)/python scripts/startup_bytes

format: $(TOOLS) ## format, and mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

cover: $(TOOLS) ## run the tests with coverage; at least 90 % of the protocol and of the client
	@scripts/system_requirements
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(PYTEST) -m 'not untraced' $(ARGS)
	@$(BIN)/coverage combine --quiet || true # what a killed process left of its data is no data
	@rm -f .coverage.*
	@$(BIN)/coverage report
	@for package in protocol client; do \
	    printf 'percent of easycluster-%s: ' "$$package"; \
	    $(BIN)/coverage report --include="packages/easycluster-$$package/*" --format=total --fail-under=90 || exit 1; \
	done

fuzz: $(TOOLS) ## damage the bytes of 10,000 connections, beside what the tests damage
	@EASYCLUSTER_FUZZ=10000 $(BIN)/python -m pytest -n0 tests/integration/test_damage.py tests/protocol/wire/test_damage.py $(ARGS)

mutants: $(TOOLS) ## change the code in one place at a time, and list the changes that no unit test notices
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group mutants
	@$(BIN)/python scripts/mutants $(ARGS)

bench: $(TOOLS) ## run the benchmarks
	@$(BIN)/python benchmarks/run.py $(ARGS)

build: $(TOOLS) ## build the wheels and sdists of the four packages into dist/
	@rm -rf dist
	@for package in packages/*; do \
	    $(BIN)/python -m build --no-isolation --outdir dist "$$package" || exit 1; \
	done

clean: ## remove .venv, dist and every cache
	@rm -rf $(VENV) dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache \
	    .mypy_cache .pytest_cache .ruff_cache
	@find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): $(wildcard packages/*/pyproject.toml)
	@echo "Setting up $(VENV) ..."
	@scripts/setup run
	@touch $@

$(TOOLS): $(RUN) pyproject.toml
	@echo "Installing the tools of the tests and checks ..."
	@scripts/setup dev
	@touch $@
