# The one door: everything a developer or CI runs is a target here. `make help` lists them.
# All paths are relative, so that the folder may lie anywhere, also where names have spaces.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help dev test e2e check gates checkov check-agents fmt build artifacts memory coldstart rehearse lock openapi fuzz fuzz-runs fuzz-streams soak crash-matrix crash-table bench bench-peers cost hot-keys bench-lists bench-long-runs verify-log clean

PYTHON := .venv/bin/python
SAM_PYTHON := .venv-sam/bin/python

# SAM wants a region even where it asks nobody, and reports its use unless told not to.
export AWS_DEFAULT_REGION ?= us-east-1
export SAM_CLI_TELEMETRY := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

dev: .venv/.installed ## Run the whole service here, on emulators (Ctrl-C ends it)
	@exec $(PYTHON) -m runyard_dev --with-parent

test: .venv/.installed .venv-sam/.installed tests/clients/node_modules/.installed ## Run the tests; ARGS="-k cancel" chooses
	@$(PYTHON) -m pytest $(ARGS)

e2e: .venv/.installed ## The tests over HTTP; STACK=… (deployed), or BASE_URL=… ACCESS_KEY=…, names a service
	@$(PYTHON) -m pytest tests/e2e $(ARGS)

check: .venv/.installed .venv-sam/.installed ## Formatting, lint, types, imports, template, agents
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) .venv/bin/lint-imports --no-logo
	@$(MAKE) --no-print-directory gates check-agents

gates: .venv-sam/.installed ## The template's four gates alone
	$(SAM_PYTHON) tools/check_template.py

checkov: .venv-checkov/.installed ## Hold the template against checkov's rules; tools/checkov.yaml skips some, none in vain
	@.venv-checkov/bin/python tools/check_checkov.py

check-agents: .venv/.installed ## Check the agents' files: every fault by file, line and field
	@$(PYTHON) -m runyard.cli.agents check

fmt: .venv/.installed ## Format the code and mend what can be mended
	$(PYTHON) -m ruff check --fix-only .
	$(PYTHON) -m ruff format .

# SAM runs `python3.13` from PATH: the real one goes first, before any shim that would fail.
build: .venv-sam/.installed ## Build the functions and layers into .aws-sam/ (needs Python 3.13)
	@python=$$(tools/find-python 3.13) && PATH="$$(dirname "$$python"):$$PATH" \
	  $(SAM_PYTHON) -m samcli build

artifacts: build build/here/.installed .venv/.installed ## Build, weigh, and run what was built, as Lambda runs it
	@$(PYTHON) -m benchmarks.zip_sizes
	@$(PYTHON) -m pytest tests/artifacts $(ARGS)

memory: build/here/.installed .venv/.installed .venv-sam/.installed ## Measure the memory of what was built, where it waits; two minutes
	@$(PYTHON) -m tests.artifacts.memory $(ARGS)

coldstart: build/here/.installed .venv/.installed .venv-sam/.installed ## Measure cold starts of what was built; a minute
	@$(PYTHON) -m benchmarks.coldstart $(ARGS)

rehearse: .venv/.installed .venv-sam/.installed .venv-rehearsal/.installed ## Deploy, test, update and remove it without a network; ten minutes
	@$(PYTHON) -m tests.deployment

# The layers take their versions from dev.txt, so that what is tested is what is shipped.
# $(1) is what to lock; without it only the --group that is named.
UV_LOCK = uv pip compile $(1) --quiet --universal --generate-hashes --strip-extras \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
lock: ## Compile the pinned requirements from pyproject.toml (needs uv); UPGRADE=1 takes the newest
	@command -v uv >/dev/null || { echo "make lock needs uv on PATH (pip install uv)." >&2; exit 1; }
	$(call UV_LOCK,pyproject.toml) --python-version 3.11 --extra models --group dev \
	  -o requirements/dev.txt
	$(call UV_LOCK,pyproject.toml) --python-version 3.13 --constraint requirements/dev.txt \
	  -o layers/dependencies/requirements.txt
	$(call UV_LOCK,pyproject.toml) --python-version 3.13 --constraint requirements/dev.txt \
	  --extra models -o layers/models/requirements.txt
	$(call UV_LOCK) --python-version 3.11 --group sam -o requirements/sam.txt
	$(call UV_LOCK) --python-version 3.11 --group peers -o requirements/peers.txt
	$(call UV_LOCK) --python-version 3.11 --group checkov -o requirements/checkov.txt
	$(call UV_LOCK) --python-version 3.13 --constraint requirements/dev.txt --group runtime \
	  -o requirements/runtime.txt
	$(call UV_LOCK) --python-version 3.13 --group rehearsal -o requirements/rehearsal.txt

openapi: .venv/.installed ## Print the API's contract into openapi.json
	@$(PYTHON) -m runyard_service.api.openapi > openapi.json

fuzz: .venv/.installed ## Some ten thousand generated requests against the service
	@CONTRACT_EXAMPLES=400 $(PYTHON) -m pytest tests/e2e/test_contract.py

crash-matrix: .venv/.installed ## Runs through every crash that there can be; half an hour, or PART=1/2
	@CRASH_MATRIX=$(or $(PART),1/1) $(PYTHON) -m pytest tests/integration/crashes/test_crashes.py $(ARGS)

crash-table: .venv/.installed ## Write the table of crashes into docs/architecture.md
	@CRASH_TABLE=1 $(PYTHON) -m pytest tests/integration/crashes/test_crashes.py $(ARGS)

bench: .venv/.installed ## Measure times, units and memory on this machine; four minutes
	@$(PYTHON) -m benchmarks $(ARGS)

bench-peers: .venv/.installed .venv-peers/.installed ## The same, with LangGraph's server beside it
	@$(PYTHON) -m benchmarks --peers $(ARGS)

cost: .venv/.installed ## What a million runs cost on AWS, by service, from counted units
	@$(PYTHON) -m benchmarks.cost $(ARGS)

hot-keys: .venv/.installed ## Which index key gives way first, and at how many runs a second
	@$(PYTHON) -m benchmarks.hot_keys $(ARGS)

fuzz-runs: .venv/.installed ## Play interleavings of runs for long; RUNS_EXAMPLES=400 says how many
	@RUNS_EXAMPLES=$${RUNS_EXAMPLES:-400} $(PYTHON) -m pytest tests/simulation $(ARGS)

fuzz-streams: .venv/.installed tests/clients/node_modules/.installed ## Cut stock clients' streams at new places; CUTS_SEED=… says which
	@export CUTS_SEED=$${CUTS_SEED:-$$(date +%s)}; echo "CUTS_SEED=$$CUTS_SEED"; \
	  $(PYTHON) -m pytest tests/e2e/test_stock_clients.py $(ARGS)

soak: .venv/.installed ## 500 runs, 8 clients, a worker killed every second; ARGS=40 for fewer
	@$(PYTHON) -m tests.soak $(ARGS)

bench-lists: .venv/.installed ## Measure the lists of runs over 100,000 of them
	@$(PYTHON) -m benchmarks.run_lists $(ARGS)

bench-long-runs: .venv/.installed ## Measure the steps of a run of 1,000 of them, and its take-up
	@$(PYTHON) -m benchmarks.long_runs $(ARGS)

verify-log: .venv/.installed ## Check the invariants of every run's log; DATA_DIR=… names another store
	@$(PYTHON) -m runyard.cli.verify

clean: ## Remove what the targets made: environments, builds, caches
	rm -rf .venv .venv-sam .venv-checkov .venv-peers .venv-rehearsal .aws-sam build .pytest_cache .mypy_cache .ruff_cache
	rm -rf tests/clients/node_modules .import_linter_cache .hypothesis src/*.egg-info layers/core/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- Environments: made once, and again only when their requirements have changed -----------------

# $(1): which Python, as tools/find-python takes it; $(2): what goes in. The lock files are complete,
# so pip has nothing to resolve: --no-deps.
define environment
@echo "Installing $(2) into $(@D) (once, about a minute) ..."
@python=$$(tools/find-python $(1)) && rm -rf $(@D) && "$$python" -m venv $(@D)
@$(@D)/bin/python -m pip install -qq --no-deps --require-hashes -r $<
endef

.venv/.installed: requirements/dev.txt
	$(call environment,3.11+,the development environment)
	@$(PYTHON) -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

.venv-sam/.installed: requirements/sam.txt
	$(call environment,3.11+,the SAM command line)
	@touch $@

.venv-checkov/.installed: requirements/checkov.txt
	$(call environment,3.11+,checkov)
	@touch $@

.venv-peers/.installed: requirements/peers.txt
	$(call environment,3.11+,the peers of the benchmarks)
	@touch $@

# Python 3.13: the emulator runs the functions in its own interpreter.
.venv-rehearsal/.installed: requirements/rehearsal.txt
	$(call environment,3.13,the emulator of the rehearsal)
	@touch $@

# Clients of streams that come by npm. Their tests are skipped where it is not there, and say so.
tests/clients/node_modules/.installed: tests/clients/package-lock.json
	@if ! command -v npm >/dev/null; then exit 0; fi; cd tests/clients && \
	  npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules/.installed || \
	  echo "npm could not install tests/clients: the tests of its clients will be skipped" >&2

# The layers of dependencies and Lambda's runtime, for this machine: what is built is for arm64.
build/here/.installed: layers/Makefile layers/dependencies/requirements.txt \
  layers/models/requirements.txt requirements/runtime.txt
	@echo "Installing the layers' dependencies for this machine into build/here (once) ..."
	@python=$$(tools/find-python 3.13) && rm -rf build/here && mkdir -p build/here && \
	  for layer in DependenciesLayer ModelsLayer; do \
	    $(MAKE) --silent -C layers build-$$layer PYTHON="$$python" PLATFORM= \
	      ARTIFACTS_DIR="$(CURDIR)/build/here/$$layer" || exit 1; done && \
	  "$$python" -m pip install -qq --no-deps --require-hashes --no-compile \
	    --target build/here/runtime -r requirements/runtime.txt && \
	  "$$python" -m compileall -qq build/here/runtime && echo "$$python" > $@
