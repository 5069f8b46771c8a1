# Two commands do everything: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup demo test lint eslint proto schemas clean
setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: setup
	$(BIN)/gem-bedside demo

# Two processes: most tests wait for servers. A file's tests stay together, with the servers that they share.
TESTS := -n 2 --dist loadfile
test: setup
	$(BIN)/python -m pytest $(TESTS)

lint: setup eslint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# JavaScript of the station page. Skipped, with the reason, where node is missing or npm reaches no registry.
NPM_CI := npm ci --no-audit --no-fund --silent --fetch-retries=0 --fetch-timeout=30000
eslint:
	@if ! command -v npm >/dev/null; then echo "eslint: skipped (no npm on this machine)"; exit 0; fi; \
	cd station; \
	if ! test node_modules/.package-lock.json -nt package-lock.json && ! $(NPM_CI); then \
		echo "eslint: skipped (npm ci failed in station/)"; exit 0; \
	fi; \
	npm run --silent lint && echo "eslint: no findings"

proto: setup  # the Python classes of the wire messages
	$(BIN)/python -m grpc_tools.protoc -Istreams --python_out=streams --pyi_out=streams streams/ecg_window.proto streams/flagged_segment.proto

schemas: setup  # docs/schemas/*.json out of the document classes
	$(BIN)/python -m streams.schemas docs/schemas

clean:
	rm -rf $(VENV) station/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .gem-bedside
