# Everything from a Python 3.11 or newer and make. Each target works as the first command in a fresh clone, and twice.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input

# Stamps: what is installed in $(VENV) is newer than what it was installed from.
CREATED := $(VENV)/.created
DEMO := $(VENV)/.installed-demo
ALL := $(VENV)/.installed-all

# Feast wants other versions of what Knownat wants.
PEERS := .venv-peers
WITH_FEAST := $(PEERS)/.installed-feast

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install demo test test-deep check bench bench-large bench-peers constraints clean

help: ## show this
	@echo "Knownat: a feature store and a model registry in one."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(ALL) ## everything in .venv: the command, the demo's data, the tools for development
	@echo "Installed. You have .venv/bin/knownat; start a project of your own with: .venv/bin/knownat init my-project"

demo: $(DEMO) ## the whole story on a year of real flights, about two minutes
	@$(BIN)/python -m docs.demo

test: $(ALL) ## all tests (installs redis-server and postgresql with apt-get if they are missing and may be installed)
	@.ci/install-server.sh redis-server redis-server
	@.ci/install-server.sh postgresql initdb
	@$(BIN)/pytest
	@echo "All tests passed. See the whole story next: make demo"

# Properties on twenty times as many examples, larger ones (at least ten million cells are compared with the oracle),
# each step killed 200 times, a thousand histories.
test-deep: export KNOWNAT_PROPERTY_EXAMPLES ?= 20
test-deep: export KNOWNAT_KILLS ?= 200
test-deep: export KNOWNAT_HISTORIES ?= 1000
test-deep: $(ALL) ## all tests with many more examples, kills and histories, for hours
	@.ci/install-server.sh redis-server redis-server
	@.ci/install-server.sh postgresql initdb
	@$(BIN)/pytest
	@echo "All tests passed, and deeply."

check: $(ALL) ## linter, formatting, types and layers; changes nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pytest -q tests/architecture
	@echo "Clean."

bench: $(ALL) ## benchmarks beside joins and windows by hand and redis-py, some minutes
	@.ci/install-server.sh redis-server redis-server
	@$(BIN)/python -m tests.bench

bench-large: $(ALL) ## joins of 10 M rows, windows of 10 M events, growth: half an hour, 10 GB of disk
	@.ci/install-server.sh redis-server redis-server
	@$(BIN)/python -m tests.bench joins windows growth plan online --large

bench-peers: $(ALL) $(WITH_FEAST) ## the small joins and lookups beside Feast too, in an environment of its own (.venv-peers)
	@.ci/install-server.sh redis-server redis-server
	@$(BIN)/python -m tests.bench joins online --peers $(PEERS)/bin/python

constraints: ## write constraints.txt anew from the ranges in pyproject.toml
	@echo "Resolving pyproject.toml in a fresh environment ..."
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && .ci/create-venv.sh "$$fresh" \
		&& "$$fresh/bin/python" -m pip --disable-pip-version-check --quiet install -e '.[demo,dev,polars,postgres]' \
		&& { grep '^#' constraints.txt; "$$fresh/bin/python" -m pip freeze --exclude-editable | grep '=='; } > constraints.new
	@mv constraints.new constraints.txt
	@echo "constraints.txt is written; look at it with: git diff constraints.txt"

clean: ## remove caches, build leftovers and the demo's project (.demo); .venv stays
	@rm -rf .demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
	@echo "Removed caches, build leftovers and .demo. To begin from nothing, remove .venv too."

$(CREATED):
	@.ci/create-venv.sh $(VENV)
	@touch $@

$(DEMO): pyproject.toml constraints.txt | $(CREATED)
	@echo "Installing Knownat and the demo's data into .venv (some hundred MB to download, once) ..."
	@$(PIP) install -c constraints.txt -e '.[demo]'
	@touch $@

# All that the demo needs is in it, too, so `make demo` has nothing left to install after this.
$(ALL): pyproject.toml constraints.txt | $(CREATED)
	@echo "Installing Knownat with everything for development into .venv (some hundred MB to download, once) ..."
	@$(PIP) install -c constraints.txt -e '.[demo,dev,polars,postgres]'
	@touch $(DEMO) $@

$(WITH_FEAST):
	@.ci/create-venv.sh $(PEERS)
	@echo "Installing Feast into $(PEERS) (some hundred MB to download, once) ..."
	@$(PEERS)/bin/python -m pip --disable-pip-version-check --quiet --no-input install 'feast[duckdb,redis]==0.67.0'
	@touch $@
