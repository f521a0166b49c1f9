# `make demo` and `make test` work on a fresh machine with Python 3.11+; each makes .venv when it is missing or when
# the pins changed. Nothing is written outside this folder.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := .fw-tools
export PIP_NO_CACHE_DIR := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: demo test peers compiled check format bench bench-import bench-mirror clean

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one by make PYTHON=...") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module; install it (Debian: python3-venv)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install -q -c constraints.txt hatchling editables
	$(BIN)/pip install -q -c constraints.txt --no-build-isolation -e '.[dev,speed]'
	@touch $@

# Where PYTHONDONTWRITEBYTECODE is set, Python would compile what is installed in place anew for every command: 0.1 s.
compiled: $(STAMP)
	@$(BIN)/python -m compileall -q src

demo: compiled
	@bash scripts/demo.sh

# The official `fw` command and fw-client, which tests/contract/test_peers_*.py run against the sandbox.
$(PEERS)/.installed: constraints-peers.txt
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/pip install -q -c constraints-peers.txt flywheel-cli fw-client
	@touch $@

peers: $(PEERS)/.installed

test: compiled $(PEERS)/.installed
	@mkdir -p .test-tmp
	TMPDIR=$(CURDIR)/.test-tmp $(BIN)/python -m pytest -n 4 --dist worksteal --basetemp=.test-tmp/pytest
	@rm -rf .test-tmp

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -p no:cacheprovider tests/test_layers.py

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-import: compiled
	$(BIN)/python bench/imports.py
	$(BIN)/python bench/tables.py

# nginx (with its echo module), curl and aria2c are used where they are installed; the script says what is missing.
bench-mirror: compiled $(PEERS)/.installed
	$(BIN)/python bench/mirrors.py $(BENCH)

bench: compiled
	$(BIN)/python bench/compare.py

clean:
	rm -rf $(VENV) $(PEERS) .demo .test-tmp .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
