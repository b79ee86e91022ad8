# Everything that a developer or CI runs is a target here. `make help` lists the targets.
# All paths are relative, so that the repository works in any folder, also with spaces in its path.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help dev console console-pictures coverage words fmt check lint-template checkov check-agents openapi docs-crash-table docs docs-serve lock clean test e2e artifacts test-faults test-stores test-contract simulate fuzz-streams soak crash-matrix long-conversations test-deploy bench bench-peers bench-cli bench-client bench-coldstart bench-console bench-cost bench-hot-keys bench-lists bench-long-runs bench-mcp bench-memory build wheels client bench-own-code

PYTHON := .venv/bin/python
WORD_PATHS := layers/core/runyard_service agents docs examples \
  README.md CONTRIBUTING.md CHANGELOG.md .ci src tools functions statemachines events \
  Makefile template.yaml samconfig.toml layers/Makefile local benchmarks tests clients console
SAM_PYTHON := .venv-sam/bin/python
AGENTS := .venv-agents/.installed
TYPESCRIPT_CLIENT := clients/typescript/dist/.built
CONSOLE := console/node_modules/.installed
MCP_PEERS := .venv-mcp/.installed tests/mcp_peers/typescript/node_modules/.installed

# SAM needs a region even without a call to AWS, and sends telemetry unless this disables it.
export AWS_DEFAULT_REGION ?= us-east-1
export SAM_CLI_TELEMETRY := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The theme advertises its successor in every build.
export NO_MKDOCS_2_WARNING := 1

##@ Develop

help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { print "\n" substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' Makefile

dev: .venv/.installed ## Run the service on this machine, on emulators; Ctrl-C stops it
	@exec $(PYTHON) -m runyard dev --with-parent

console: $(CONSOLE) ## Build the web console into the files that the API serves
	@[ -d console/node_modules ] || { echo "make console needs Node 20 or newer and npm on PATH." >&2; exit 1; }
	@cd console && node build.mjs

console-pictures: .venv/.installed $(CONSOLE) ## Write pictures of the console to build/console and the docs (needs chromium)
	@CONSOLE_PICTURES=1 $(PYTHON) -m pytest tests/console/test_accessibility.py $(ARGS)

fmt: .venv/.installed ## Format the code and apply automatic fixes
	$(PYTHON) -m ruff check --fix-only .
	$(PYTHON) -m ruff format .

check: .venv/.installed .venv-sam/.installed ## Check formatting, lint, types, imports, template and agents
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) .venv/bin/lint-imports --no-logo
	@$(MAKE) --no-print-directory words lint-template check-agents

words: .venv/.installed ## Check the spelling, and find private words (tools/word-list.txt)
	@git ls-files -z | xargs -0 $(PYTHON) -m codespell_lib --toml pyproject.toml
	@$(PYTHON) tools/check_words.py $(WORD_PATHS)

lint-template: .venv-sam/.installed ## Check only the template
	$(SAM_PYTHON) tools/check_template.py

checkov: .venv-checkov/.installed ## Run checkov; fail on unused skips in tools/checkov.yaml
	@.venv-checkov/bin/python tools/check_checkov.py

check-agents: .venv/.installed ## Check the agent files; print each error with file, line and field
	@$(PYTHON) -m runyard agents check

openapi: .venv/.installed ## Write the API contract to openapi.json, and the types of the TypeScript client
	@$(PYTHON) -m runyard_service.api.openapi > openapi.json
	@$(MAKE) --no-print-directory clients/typescript/node_modules/.installed
	@cd clients/typescript && if [ -d node_modules ]; then npm run --silent generate; fi

docs-crash-table: .venv/.installed ## Write the table of crash points into the documentation
	@CRASH_TABLE=1 $(PYTHON) -m pytest tests/integration/crashes/test_crashes.py $(ARGS)

# The layers take their versions from dev.txt, so that what is tested is what is shipped.
# $(1) is what to lock; without it only the --group that is named.
UV_LOCK = uv pip compile $(1) --quiet --universal --generate-hashes --strip-extras \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
lock: ## Compile the pinned requirements (needs uv); UPGRADE=1 takes the newest versions
	@command -v uv >/dev/null || { echo "make lock needs uv on PATH (pip install uv)." >&2; exit 1; }
	$(call UV_LOCK,pyproject.toml layers/core/pyproject.toml) --python-version 3.11 --extra models \
	  --group dev \
	  -o requirements/dev.txt
	$(call UV_LOCK,layers/core/pyproject.toml) --python-version 3.13 --constraint requirements/dev.txt \
	  -o layers/dependencies/requirements.txt
	$(call UV_LOCK,layers/core/pyproject.toml) --python-version 3.13 --constraint requirements/dev.txt \
	  --extra models -o layers/models/requirements.txt
	$(call UV_LOCK) --python-version 3.11 --group sam -o requirements/sam.txt
	$(call UV_LOCK) --python-version 3.11 --group peers -o requirements/peers.txt
	$(call UV_LOCK) --python-version 3.11 --group mcp -o requirements/mcp.txt
	$(call UV_LOCK) --python-version 3.11 --group agents -o requirements/agents.txt
	$(call UV_LOCK) --python-version 3.11 --group checkov -o requirements/checkov.txt
	$(call UV_LOCK) --python-version 3.11 --group docs -o requirements/docs.txt
	$(call UV_LOCK) --python-version 3.13 --constraint requirements/dev.txt --group runtime \
	  -o requirements/runtime.txt
	$(call UV_LOCK) --python-version 3.13 --group deployment -o requirements/deployment.txt
	$(call UV_LOCK) --python-version 3.11 --group ministack -o requirements/ministack.txt
	$(call UV_LOCK) --python-version 3.11 --group npm -o requirements/npm.txt

clean: ## Remove environments, builds and caches
	rm -rf .venv .venv-sam .venv-checkov .venv-agents .venv-mcp .venv-peers .venv-deployment .venv-docs .aws-sam build dist layers/core/build .pytest_cache .mypy_cache .ruff_cache
	rm -rf tools/docs_site/node_modules console/node_modules clients/typescript/node_modules clients/typescript/dist examples/javascript/node_modules tests/mcp_peers/typescript/node_modules .import_linter_cache .hypothesis src/*.egg-info layers/core/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Test

coverage: .venv/.installed .venv-sam/.installed $(TYPESCRIPT_CLIENT) $(MCP_PEERS) $(AGENTS) ## Measure which lines the unit and integration tests run
	@$(PYTHON) -m pytest tests/unit tests/integration --cov --cov-report=term $(ARGS)

test: .venv/.installed .venv-sam/.installed examples/javascript/node_modules/.installed $(TYPESCRIPT_CLIENT) $(CONSOLE) $(MCP_PEERS) $(AGENTS) ## Run the tests; ARGS="-k cancel" selects some
	@$(PYTHON) -m pytest $(ARGS)

e2e: .venv/.installed ## Run the end-to-end tests; STACK=… or BASE_URL=… ACCESS_KEY=… selects a service
	@$(PYTHON) -m pytest tests/e2e $(ARGS)

artifacts: build build/here/.installed .venv/.installed ## Build, print the sizes, and test the built functions
	@$(PYTHON) -m benchmarks.zip_sizes
	@$(PYTHON) -m pytest tests/artifacts $(ARGS)

test-stores: .venv/.installed ## Run the store tests on a second DynamoDB emulator, ministack
	@$(PYTHON) -m tests.second_emulator $(ARGS)

# These folders do not count calls or executions, which faults repeat.
FAULT_TESTS := tests/integration/input_requests tests/integration/steps tests/integration/threads
test-faults: .venv/.installed ## Run tests with random DynamoDB faults; FAULTS=seed:rate repeats a run, TESTS=… selects others
	@export RUNYARD_DYNAMODB_FAULTS=$${FAULTS:-$$(date +%s):0.05}; \
	  echo "FAULTS=$$RUNYARD_DYNAMODB_FAULTS"; \
	  $(PYTHON) -m pytest $(or $(TESTS),$(FAULT_TESTS)) $(ARGS)

test-contract: .venv/.installed ## Send about ten thousand generated requests to the service
	@CONTRACT_EXAMPLES=400 $(PYTHON) -m pytest tests/e2e/test_contract.py

simulate: .venv/.installed ## Simulate interleavings of runs; RUNS_EXAMPLES=400 sets the number
	@RUNS_EXAMPLES=$${RUNS_EXAMPLES:-400} $(PYTHON) -m pytest tests/simulation $(ARGS)

fuzz-streams: .venv/.installed examples/javascript/node_modules/.installed $(TYPESCRIPT_CLIENT) ## Cut the streams of stock clients at random bytes; CUTS_SEED=… repeats a test
	@export CUTS_SEED=$${CUTS_SEED:-$$(date +%s)}; echo "CUTS_SEED=$$CUTS_SEED"; \
	  $(PYTHON) -m pytest tests/e2e/test_stock_clients.py $(ARGS)

soak: .venv/.installed ## Run 500 runs with 8 clients and kill a worker every second; ARGS=40 for fewer
	@$(PYTHON) -m tests.soak $(ARGS)

crash-matrix: .venv/.installed ## Test every crash point; half an hour, or PART=1/2
	@CRASH_MATRIX=$(or $(PART),1/1) $(PYTHON) -m pytest tests/integration/crashes/test_crashes.py $(ARGS)

long-conversations: .venv/.installed ## Test a run of 400 steps in a window of 32,000 tokens; a minute
	@LONG_CONVERSATIONS=1 $(PYTHON) -m pytest tests/integration/context $(ARGS)

test-deploy: .venv/.installed .venv-sam/.installed .venv-deployment/.installed ## Deploy, test, update and delete a stack and a project on an emulator; 40 minutes; ARGS=project
	@$(PYTHON) -m tests.deployment $(ARGS)

##@ Benchmark

bench: .venv/.installed ## Measure latency, capacity units and memory; four minutes
	@$(PYTHON) -m benchmarks $(ARGS)

bench-peers: .venv/.installed .venv-peers/.installed ## Run the same benchmarks with LangGraph as a comparison
	@$(PYTHON) -m benchmarks --peers $(ARGS)

bench-cli: .venv/.installed ## Measure the start of `runyard --help`; a few seconds
	@$(PYTHON) -m benchmarks.cli_start $(ARGS)

bench-client: .venv/.installed ## Measure the Python client's own share of a create and of an event; seconds
	@$(PYTHON) -m benchmarks.python_client $(ARGS)

bench-coldstart: build/here/.installed .venv/.installed .venv-sam/.installed ## Measure the cold starts of the built functions; a minute
	@$(PYTHON) -m benchmarks.coldstart $(ARGS)

bench-console: .venv/.installed ## Measure the web console with 10,000 events in chromium; half a minute
	@$(PYTHON) -m benchmarks.console $(ARGS)

bench-cost: .venv/.installed ## Calculate the cost of a million runs on AWS from counted units
	@$(PYTHON) -m benchmarks.cost $(ARGS)

bench-hot-keys: .venv/.installed ## Find the index key that limits the rate of runs
	@$(PYTHON) -m benchmarks.hot_keys $(ARGS)

bench-lists: .venv/.installed ## Measure the lists of runs with 100,000 runs
	@$(PYTHON) -m benchmarks.run_lists $(ARGS)

bench-long-runs: .venv/.installed ## Measure the steps of a run of 1,000 steps, and its recovery
	@$(PYTHON) -m benchmarks.long_runs $(ARGS)

bench-mcp: .venv/.installed ## Measure the processor time of MCP calls; ten seconds
	@$(PYTHON) -m benchmarks.mcp_calls $(ARGS)

bench-own-code: .venv/.installed ## Measure the processor time of own code, replayed and held; a minute
	@$(PYTHON) -m benchmarks.own_code $(ARGS)

bench-memory: build/here/.installed .venv/.installed .venv-sam/.installed ## Measure the memory of the built functions; two minutes
	@$(PYTHON) -m tests.artifacts.memory $(ARGS)

docs: .venv-docs/.installed tools/docs_site/node_modules/.installed ## Build the documentation site into build/docs
	@.venv-docs/bin/python -m mkdocs build --strict
	@echo "build/docs/index.html"

docs-serve: .venv-docs/.installed tools/docs_site/node_modules/.installed ## Serve the documentation site; DOCS_PORT=8001 sets the port
	@.venv-docs/bin/python -m mkdocs serve --dev-addr 127.0.0.1:$(or $(DOCS_PORT),8001)

##@ Release

# SAM runs `python3.13` from PATH: the real one goes first, before any shim that would fail.
build: .venv-sam/.installed ## Build the functions and layers into .aws-sam/ (needs Python 3.13)
	@python=$$(tools/find-python 3.13) && PATH="$$(dirname "$$python"):$$PATH" \
	  $(SAM_PYTHON) -m samcli build

# Both wheels need only setuptools, which the development environment contains.
wheels: .venv/.installed ## Build the wheels of runyard and runyard-service into dist/
	@rm -rf dist build/lib build/bdist.* layers/core/build
	@$(PYTHON) -m pip wheel -qq --no-deps --no-build-isolation --wheel-dir dist . layers/core
	@ls dist

client: $(TYPESCRIPT_CLIENT) ## Build the TypeScript client and its npm package into dist/
	@mkdir -p dist && cd clients/typescript && npm pack --silent --pack-destination ../../dist

# --- Environments: made once, and again only when their requirements have changed -----------------

# $(1): which Python, as tools/find-python takes it; $(2): what goes in. The lock files are complete,
# so pip has nothing to resolve: --no-deps.
define environment
@echo "Installing $(2) into $(@D) (once, about a minute) ..."
@python=$$(tools/find-python $(1)) && rm -rf $(@D) && "$$python" -m venv $(@D)
@$(@D)/bin/python -m pip install -qq --no-deps --require-hashes -r $<
endef

.venv/.installed: requirements/dev.txt layers/core/VERSION
	$(call environment,3.11+,the development environment)
	@$(PYTHON) -m pip install -qq --no-deps --no-build-isolation -e . -e layers/core
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

.venv-mcp/.installed: requirements/mcp.txt
	$(call environment,3.11+,the official MCP package)
	@touch $@

.venv-agents/.installed: requirements/agents.txt
	$(call environment,3.11+,the agent frameworks)
	@$(@D)/bin/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

.venv-docs/.installed: requirements/docs.txt
	$(call environment,3.11+,the documentation site)
	@touch $@

# Diagrams of the documentation site. The build copies one file from here.
tools/docs_site/node_modules/.installed: tools/docs_site/package-lock.json
	@command -v npm >/dev/null || { echo "make docs needs npm on PATH (for Mermaid)." >&2; exit 1; }
	@cd tools/docs_site && npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules/.installed

# Python 3.13: the emulator runs the functions in its own interpreter.
.venv-deployment/.installed: requirements/deployment.txt
	$(call environment,3.13,the emulator of the deployment test)
	@touch $@

# Clients of streams that come by npm. Their tests are skipped where it is not there, and say so.
examples/javascript/node_modules/.installed: examples/javascript/package-lock.json
	@if ! command -v npm >/dev/null; then exit 0; fi; cd examples/javascript && \
	  npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules/.installed || \
	  echo "npm could not install examples/javascript: the tests of its clients will be skipped" >&2

# The TypeScript client. Its tests are skipped where it is not built.
clients/typescript/node_modules/.installed: clients/typescript/package-lock.json
	@if ! command -v npm >/dev/null; then exit 0; fi; cd clients/typescript && \
	  npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules/.installed || \
	  echo "npm could not install clients/typescript: the tests of the client will be skipped" >&2

$(TYPESCRIPT_CLIENT): clients/typescript/node_modules/.installed \
  $(wildcard clients/typescript/src/*.ts clients/typescript/src/*/*.ts clients/typescript/*.json)
	@if [ -d clients/typescript/node_modules ]; then \
	  cd clients/typescript && npm run --silent build && touch dist/.built; fi

# The tools that build and check the web console. Their tests are skipped where they are missing.
$(CONSOLE): console/package-lock.json
	@if ! command -v npm >/dev/null; then exit 0; fi; cd console && \
	  npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules/.installed || \
	  echo "npm could not install console: tests of the console will be skipped" >&2

# MCP servers that come by npm. Their tests are skipped where they are not there.
tests/mcp_peers/typescript/node_modules/.installed: tests/mcp_peers/typescript/package-lock.json
	@if ! command -v npm >/dev/null; then exit 0; fi; cd tests/mcp_peers/typescript && \
	  npm ci --silent --no-audit --no-fund --ignore-scripts && touch node_modules/.installed || \
	  echo "npm could not install tests/mcp_peers/typescript: tests will be skipped" >&2

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
