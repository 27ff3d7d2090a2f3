# VoxFleet's commands. `make` alone lists them; each sets up what it needs and says what it installs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv/bin
# Most tests wait for processes of their own: two workers keep two cores busy, a file's tests stay together.
TWO_AT_ONCE := --numprocesses=2 --dist=loadfile
# Only `make demo KUBECONFIG=file` means the user's own cluster; one that merely stands in the environment is left alone.
ifneq ($(origin KUBECONFIG),command line)
unexport KUBECONFIG
endif

.PHONY: help setup demo demo-down test check format lint types unit integration e2e soak gpu-bench crds lock clean

help: ## list the targets
	@printf 'VoxFleet: make TARGET\n\n'
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-13s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables: KUBECONFIG=file (your own cluster), IMAGES=prefix (where it pulls images from),\n'
	@printf '           MODEL_PATH=folder (real VoxCPM-1.5 weights), PYTHON=python3.11\n'

setup: ## make .venv from the lock (every other target does this by itself)
	@scripts/setup

demo: setup ## start a local Kubernetes with two regions, install VoxFleet, and hear it speak
	@$(VENV)/python -m voxfleet_demo up

demo-down: setup ## remove every trace of the demo
	@$(VENV)/python -m voxfleet_demo down

test: check unit integration e2e ## everything that proves this checkout

check: lint types ## what needs no running program

format: setup ## rewrite the sources as the linters want them
	@$(VENV)/ruff format . && $(VENV)/ruff check --fix .

lint: setup ## ruff, the import contracts and shellcheck
	@$(VENV)/ruff format --check . && $(VENV)/ruff check . && $(VENV)/lint-imports
	@$(VENV)/shellcheck .ci/* scripts/* inference/*.sh

types: setup ## mypy, strict
	@$(VENV)/mypy operator inference gateway testbed demo

unit: setup ## unit, property and parity tests
	@OMP_NUM_THREADS=1 $(VENV)/pytest $(TWO_AT_ONCE) tests/unit

integration: setup ## tests against a real API server and real processes
	@$(VENV)/python -m voxfleet_testbed prepare
	@$(VENV)/pytest $(TWO_AT_ONCE) tests/integration

e2e: setup ## the demo's story and its faults on two real nodes
	@$(VENV)/pytest --durations=12 tests/e2e

soak: setup ## 200 listeners, many of them badly behaved, for three minutes on the real server with a tiny model
	@$(VENV)/python benchmarks/soak --clients 200 --seconds 180

gpu-bench: ## measure everything on this machine's GPU, in nine minutes; needs PyTorch, Triton and numpy, installs nothing
	@$(if $(wildcard $(VENV)/python),$(VENV)/python,python3) benchmarks/gpu_bench.py $(ARGS)

crds: setup ## generate crds/ and the chart's copy from the pydantic models
	@$(VENV)/python -m voxfleet_operator crds > crds/voxfleet.dev_voxttsdeployments.yaml
	@cp crds/voxfleet.dev_voxttsdeployments.yaml charts/voxfleet-crds/files/

lock: setup ## recompile the pinned requirements
	@scripts/lock

clean: demo-down ## remove .venv and caches inside the checkout (not the build cache)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
