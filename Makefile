# Everything a developer types. Needs nothing but make and a Python of 3.11 or newer; `make run` and `make test` share .venv.

PYTHON ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
JS := tests/conformance/js
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
PACKAGES := engine gateway loadtest runtime signal_service standins tests wire
LOCK := env -u UV_FIND_LINKS $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate

.PHONY: run test check format fuzz autobahn lock clean venv-run venv-test

run: venv-run
	$(BIN)/signal-service demo $(ARGS)

test: venv-test
	$(BIN)/python -m pytest $(ARGS)

check: venv-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: venv-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# A million inputs for everything that strangers send bytes to; `make fuzz ARGS="session --inputs 1000"` is a few.
fuzz: venv-test
	$(BIN)/python -m tests.fuzz $(ARGS)

# Autobahn's suite against the gateway's WebSocket, as a test of `make test` does it too; needs a Python 2.7.
autobahn: venv-test
	$(BIN)/python -m tests.conformance.autobahn $(ARGS)

# Writes the lock files anew from pyproject.toml, keeping what is pinned; `make lock ARGS=--upgrade` moves to the newest.
lock: $(VENV)/.lock
	$(LOCK) $(ARGS) pyproject.toml --group build -o requirements/run.txt
	$(LOCK) $(ARGS) pyproject.toml --group build --extra test -c requirements/run.txt -o requirements/test.txt
	$(LOCK) $(ARGS) --group lock -o requirements/lock.txt
	cd $(JS) && PATH="$(CURDIR)/$(BIN):$$PATH" npm install --package-lock-only --no-audit --no-fund \
		--omit-lockfile-registry-resolved

clean:
	rm -rf $(VENV) $(JS)/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv-run: $(VENV)/.run
venv-test: $(VENV)/.test $(JS)/node_modules/.package-lock.json build/autobahn/packages.txt

# Stamps: a file in .venv is newer than what it was installed from. The locks of tests contain those of a run.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/.python
	@echo "installing what is needed to run, into $(VENV)"
	@$(PIP) install --require-hashes --requirement requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements/test.txt pyproject.toml | $(VENV)/.python
	@echo "installing what is needed to test, into $(VENV)"
	@$(PIP) install --require-hashes --requirement requirements/test.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.run $@

$(VENV)/.lock: requirements/lock.txt | $(VENV)/.test
	@$(PIP) install --require-hashes --requirement requirements/lock.txt
	@touch $@

$(JS)/node_modules/.package-lock.json: $(JS)/package-lock.json | $(VENV)/.test
	@echo "installing the JavaScript client that tests talk to, into $(JS)/node_modules"
	@cd $(JS) && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

build/autobahn/packages.txt: tests/conformance/autobahn/packages.txt | $(VENV)/.test
	@echo "installing the suite that WebSocket is tested by, into build/autobahn; it needs a Python 2.7"
	@$(BIN)/python -m tests.conformance.autobahn --install || true

$(VENV)/.python:
	@for python in $(PYTHON) python3.11 python3 python3.12 python3.13 python3.14 python; do \
		if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			echo "creating $(VENV) with $$($$python --version)"; \
			$$python -m venv --clear $(VENV) && touch $@ && exit 0; exit 1; \
		fi; \
	done; \
	echo "error: found no Python of 3.11 or newer with its venv module; name one with make PYTHON=/path/to/python" >&2; \
	exit 1
