# VoxFleet's commands. `make` without a target lists them; each installs what it needs and prints what it installs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv/bin
# Most tests wait for subprocesses, so two workers use two cores; loadfile keeps module-scoped fixtures on one worker.
TWO_AT_ONCE := --numprocesses=2 --dist=loadfile
SIDE_BY_SIDE := --no-print-directory --jobs=2
# Only `make demo KUBECONFIG=file` uses the user's own cluster; a KUBECONFIG in the environment is ignored.
ifneq ($(origin KUBECONFIG),command line)
unexport KUBECONFIG
endif

# Container images of Python often set it; then each of the thousand processes that the tests start compiles its imports.
unexport PYTHONDONTWRITEBYTECODE

# Every target with a help text; none is a file.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*\#\#.*/\1/p' $(MAKEFILE_LIST))

help: ## list the targets
	@printf 'VoxFleet: make TARGET\n\n'
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-21s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables: KUBECONFIG=file (your own cluster), IMAGES=prefix (where it pulls images from),\n'
	@printf '           MODEL_PATH=folder (real VoxCPM-1.5 weights), PYTHON=python3.11,\n'
	@printf '           METRICS=1 (make demo: start Prometheus too, print figures, check every dashboard query)\n'

setup: ## make .venv from the lock (every other target runs this first)
	@scripts/setup

demo: setup ## start a local Kubernetes with two regions, install VoxFleet, request speech
	@$(VENV)/python -m voxfleet_demo up

demo-spot: setup ## show spot nodes, fallback and reclaim with a real Karpenter on simulated nodes; needs no root
	@$(VENV)/python -m voxfleet_demo spot

demo-down: setup ## remove the demo's cluster and all its files
	@$(VENV)/python -m voxfleet_demo down

dns-demo: setup ## serve five regions by PowerDNS on port 5300 and print what dig +subnet answers (ARGS="--once --port 5301")
	@$(VENV)/python -m voxfleet_demo.dns_demo $(ARGS)

test: check ## run all checks and tests; they decide whether a change is merged
	@$(MAKE) $(SIDE_BY_SIDE) labelled-unit labelled-integration
	@$(MAKE) --no-print-directory e2e

labelled-%: # as two that run side by side print line by line
	@$(MAKE) --no-print-directory $* 2>&1 | sed --unbuffered 's/^/$*: /'

check: setup ## run the checks that start no program of the project
	@$(MAKE) $(SIDE_BY_SIDE) --output-sync=target lint types

format: setup ## format the sources and fix what the linter can fix
	@$(VENV)/ruff format . && $(VENV)/ruff check --fix .

lint: setup ## run ruff, the import contracts, the word list, shellcheck, and Biome on the pages
	@$(VENV)/ruff format --check . && $(VENV)/ruff check . && $(VENV)/lint-imports
	@$(VENV)/python scripts/check_words.py
	@$(VENV)/shellcheck .ci/* scripts/api-types scripts/lock scripts/npm scripts/setup scripts/tests scripts/web inference/*.sh voice/train
	@scripts/npm run check --silent

types: setup ## run mypy, strict
	@MYPYPATH=simulation $(VENV)/mypy operator inference gateway protocols cli simulation testbed demo voice
	@MYPYPATH=scripts/site $(VENV)/mypy scripts/site
	@MYPYPATH=benchmarks:benchmarks/gpu $(VENV)/mypy benchmarks/*.py
	@for folder in $$(dirname benchmarks/*/*.py | sort -u); do MYPYPATH=benchmarks:$$folder $(VENV)/mypy $$folder; done

# Threads of PyTorch that spin while they wait for each other take the core that the other worker's test needs.
unit integration e2e: export OMP_WAIT_POLICY = passive

# They compute; beside integration tests, which mostly wait, they take what those leave of the processors.
unit: setup ## run unit, property and parity tests
	@scripts/npm test --silent
	@OMP_NUM_THREADS=1 nice -n 19 scripts/tests tests/unit $(TWO_AT_ONCE)

integration: setup ## run the tests against a real API server and real processes
	@$(VENV)/python -m voxfleet_testbed prepare
	@scripts/tests tests/integration $(TWO_AT_ONCE)

e2e: setup ## run the demo's scenario and faults on two real nodes
	@scripts/tests tests/e2e --durations=12

newest-kubernetes: export TESTBED_KUBERNETES = 1.37
newest-kubernetes: setup ## build Kubernetes 1.37 and run the tests of operator, charts and whole fleets on it
	@$(VENV)/python -m voxfleet_testbed prepare
	@$(VENV)/pytest --durations=12 tests/integration/operator tests/integration/charts tests/integration/testbed/cluster tests/e2e

chaos: setup ## break a local cluster in seven ways under load; fails when a request is lost (ARGS="--fault node-dies")
	@$(VENV)/python -m voxfleet_demo chaos $(ARGS)

soak: setup ## run 200 clients, some misbehaving, for three minutes on the real server with a tiny model
	@$(VENV)/python benchmarks/soak --clients 200 --seconds 180

bench-start: setup ## measure how long a server takes from start to ready, by part (ARGS="--beside CHECKOUT --starts 10")
	@$(VENV)/python benchmarks/server_start.py $(ARGS)

bench-wakes: setup ## wake a region of a local cluster 50 times and explain where the time goes (ARGS="--wakes 5")
	@$(VENV)/python benchmarks/wakes.py $(ARGS)

bench-operator: setup ## ask for 200 spot nodes and give them back, beside a bare Deployment (ARGS="--nodes 200")
	@$(VENV)/python benchmarks/operator_nodes $(ARGS)

bench-operator-scale: setup ## create 1,000 resources of three regions, beside a bare loop with the same objects (ARGS="--resources 100")
	@$(VENV)/python benchmarks/operator_scale $(ARGS)

bench-rtt: setup ## learn round trips from an hour of simulated traffic between measured cities (ARGS="--regions 5")
	@$(VENV)/python benchmarks/rtt_learning $(ARGS)

bench-gateway: setup ## measure the gateway beside nginx as a plain proxy, on one core (ARGS="--quick --only first-byte streams")
	@$(VENV)/python benchmarks/gateway $(ARGS)

bench-dns: setup ## measure DNS answers per second beside PowerDNS with a static zone (ARGS="--rounds 1 --seconds 3")
	@$(VENV)/python benchmarks/dns_answers.py $(ARGS)

voice-gate: setup ## measure the demo voice's word errors and judge them (ARGS="--checkpoint DIR --beside DIR")
	@$(VENV)/python benchmarks/speech_errors gate $(ARGS)

bench-speech: setup ## measure word errors under load, in each format, after retries (ARGS="--checkpoint DIR")
	@$(VENV)/python benchmarks/speech_errors bench $(ARGS)

bench-words: setup ## measure the errors of word timestamps on speech with known word bounds (ARGS="--whisper")
	@$(VENV)/python benchmarks/word_timestamps $(ARGS)

gpu-bench: ## run all benchmarks on this machine's GPU, nine minutes; needs PyTorch, Triton and numpy, installs nothing
	@$(if $(wildcard $(VENV)/python),$(VENV)/python,python3) benchmarks/gpu_bench.py $(ARGS)

voice: ## train the demo voice, or go on training it: about 4 hours on two idle cores (WORK=folder, PRESET=smoke)
	@voice/train $(WORK) $(PRESET)

crds: setup ## generate crds/ and the chart's copy from the pydantic models
	@$(VENV)/python -m voxfleet_operator crds > crds/voxfleet.dev_voxttsdeployments.yaml
	@cp crds/voxfleet.dev_voxttsdeployments.yaml charts/voxfleet-crds/files/

reference: crds ## write the parts of docs/ that are made from the models
	@$(VENV)/python scripts/site/made_parts.py

docs: setup ## build the docs site in .site/html, its links checked (ARGS="--external" lists those that lead elsewhere)
	@$(VENV)/python scripts/site $(ARGS)

browsers: setup ## install Firefox and WebKitGTK (200 MB), and run the pages' tests in them; root, Debian
	@$(VENV)/python -m voxfleet_testbed packages --browsers
	@$(VENV)/pytest -rs -k other_engines tests/integration/*/browser

screenshots: setup ## take the pictures of docs/pictures from the running product; look at each before it is committed
	@$(VENV)/python scripts/screenshots.py

image-check: setup ## build the speech server's image for CPUs, run it by the documented line, try it; needs docker or podman
	@$(VENV)/pytest -rA --tb=short tests/image $(ARGS)

sbom: setup ## write the images' bills of materials (CycloneDX) into dist/sbom, as the images carry them
	@for part in operator gateway inference; do \
	  web=$$([[ $$part == operator ]] || echo "--web web/package-lock.json"); \
	  $(VENV)/python scripts/sbom.py --name voxfleet-$$part --version "$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)" \
	    --requirements requirements/$$part.txt $$web --packages .venv/lib/python3.*/site-packages \
	    --out dist/sbom/voxfleet-$$part.cdx.json; \
	done

lock: setup ## recompile the pinned requirements
	@scripts/lock

clean: demo-down ## remove .venv and the caches inside the checkout (not ~/.cache/voxfleet)
	@rm -rf .venv .site .mypy_cache .ruff_cache .pytest_cache .hypothesis
