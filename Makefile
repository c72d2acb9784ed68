# Two commands are enough: `make run` and `make test`. Both work on a fresh machine with Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Four, also on two cores, because many tests wait for a clock. Each has engines of its own; files stay whole, so that what
# they share is made once, and begin in the order of tests/conftest.py.
WORKERS ?= --numprocesses 4 --dist loadfile --no-loadscope-reorder
NODE_MODULES := tests/javascript/node_modules
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
.DEFAULT_GOAL := help
# Some environments forbid Python to keep what it compiles. Then every `parley` that a test starts would compile all of
# Parley again, and every worker all tests.
export PYTHONDONTWRITEBYTECODE =
.PHONY: help run test test-postgres test-litellm fuzz lint types format words vendor pictures bench native soak demo-model demo-adapter clean

help:
	@echo "make run         start Parley (installs what it needs the first time)"
	@echo "make test        lint, types and every test"
	@echo "make test-postgres  run the tests of the API on PostgreSQL, all of them"
	@echo "make test-litellm  test with the litellm package, in an environment of its own"
	@echo "make fuzz        try the API for half an hour with data made from its OpenAPI document"
	@echo "make bench       run the benchmarks"
	@echo "make soak        ten minutes of mixed traffic and kill -9, then compare the books"
	@echo "make native      build llama.cpp for this very processor (needs cmake and a C++ compiler)"
	@echo "make format      format the source"
	@echo "make words       bring the translations' catalogues up to date"
	@echo "make vendor      fetch the pages' libraries again, as api/web/vendoring.py names them"
	@echo "make pictures    take the README's pictures of the pages again"
	@echo "make demo-model  train the bundled demo model again"
	@echo "make demo-adapter  train its bundled LoRA adapter again"

run: $(VENV)/.installed
	@exec $(BIN)/parley up

test: $(VENV)/.installed-test $(NODE_MODULES)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONDEVMODE=1 $(BIN)/python -m pytest $(WORKERS)

# Everything of the API on PostgreSQL; `make test` runs there what keeps books, tokens, chats and webhooks.
test-postgres: $(VENV)/.installed-test
	PYTHONDEVMODE=1 $(BIN)/python -m pytest $(WORKERS) --database postgresql tests/storage tests/api

test-litellm: $(VENV)/.installed-test .venv-litellm/.installed
	LITELLM_PYTHON=.venv-litellm/bin/python $(BIN)/python -X dev -m pytest tests/api/test_litellm.py

# Another seed is another run: make fuzz FUZZ_SEED=7
FUZZ_SEED ?= $(shell date +%s)
FUZZ_EXAMPLES ?= 300
fuzz: $(VENV)/.installed-test
	FUZZ_SEED=$(FUZZ_SEED) FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest tests/api/test_fuzzing.py

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

words: $(VENV)/.installed-test
	$(BIN)/python -m bot.catalogues

vendor: $(VENV)/.installed-test
	$(BIN)/python -m api.web.vendoring

pictures: $(VENV)/.installed-test $(NODE_MODULES)/.installed
	PICTURES=docs/pictures $(BIN)/python -m pytest tests/api/web/test_pictures.py

bench: $(VENV)/.installed-test
	@for script in benchmarks/bench_*.py; do \
		echo "== $$script"; $(BIN)/python -m "benchmarks.$$(basename "$$script" .py)" || exit 1; \
	done

native: $(VENV)/.installed
	@$(BIN)/python -m parley.native_build

soak: $(VENV)/.installed-test
	@$(BIN)/python -m tests.soak

demo-model: $(VENV)/.installed-demo-model
	$(BIN)/python -m models.make

demo-adapter: $(VENV)/.installed-demo-model
	$(BIN)/python -m models.adapter

clean:
	rm -rf $(VENV) .venv-litellm $(NODE_MODULES) build *.egg-info .mypy_cache .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Parley needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { echo "Could not make $(VENV); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing Parley into $(VENV) (once)"
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing Parley and its tests into $(VENV) (once)"
	@$(PIP) install --constraint constraints.txt --editable '.[test]'
	@touch $@ $(VENV)/.installed

# Node.js itself came with the tests' Python packages.
$(NODE_MODULES)/.installed: tests/javascript/package.json | $(VENV)/.installed-test
	@echo "Installing what the examples in JavaScript import into $(NODE_MODULES) (once)"
	@$(BIN)/npm install --prefix tests/javascript --loglevel error --fetch-retry-maxtimeout 10000 --no-package-lock --ignore-scripts --no-audit --no-fund
	@touch $@

# litellm pins an older openai than the tests use, and brings 330 MB.
.venv-litellm/.installed: constraints-litellm.txt | $(VENV)/bin/python
	@echo "Installing litellm into .venv-litellm (once)"
	@$(PYTHON) -m venv .venv-litellm
	@.venv-litellm/bin/python -m pip --disable-pip-version-check --quiet install \
		--constraint constraints-litellm.txt litellm
	@touch $@

$(VENV)/.installed-demo-model: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing what training needs into $(VENV) (once)"
	@$(PIP) install --constraint constraints.txt --editable '.[demo-model]'
	@touch $@
