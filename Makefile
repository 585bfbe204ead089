# Two commands do all the set-up: `make run` and `make test`.
PYTHON ?= python3.11
BIN := .venv/bin
UV_VERSION := $(shell sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements.lock)
# Where torch comes from: wheels this machine names (PIP_FIND_LINKS), else the build of PyTorch's own index for this
# backend: cpu, auto, cu130 …
TORCH_BACKEND ?= cpu
TORCH_SOURCE := $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)",--torch-backend $(TORCH_BACKEND))
export GX_ANALYTICS_ENABLED := false
export RAY_USAGE_STATS_ENABLED := 0
export TOKENIZERS_PARALLELISM := false
export GOMP_SPINCOUNT := 1000
# Where Python may not keep what it has compiled, each of a run's many processes compiles torch and Ray anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test lint fast lock image e2e-docker e2e-services e2e-cluster

help: ## what there is
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

setup: .venv/.installed ## virtual environment with the locked packages

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python $(TORCH_SOURCE) requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

run: setup ## generate a catalogue and run the whole pipeline on it
	$(BIN)/pinclip doctor
	$(BIN)/pinclip generate --pins 3000 --boards 600 --out catalogues/generated
	$(BIN)/pinclip run --catalogue catalogues/generated --profile demo --set train.epochs=10

# Side by side, what takes longest first, so that none of it is left for the end.
LONG := tests/e2e tests/components/distributed tests/serving tests/pipelines/test_resumed.py tests/components
test: setup lint ## linters, type checker and all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder $(LONG) tests

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

fast: setup ## the tests that take seconds
	$(BIN)/pytest tests/model tests/pipelines -x

lock: setup ## resolve requirements.lock anew from the floors in pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --generate-hashes --no-header --upgrade \
	  --quiet $(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)") --no-emit-find-links -o requirements.lock
	$(BIN)/python -c "import re, pathlib; p = pathlib.Path('requirements.lock'); \
	  p.write_text(re.sub(r'(?m)^torch==([0-9.]+)\S*.*\n(    --hash.*\n)*', r'torch==\1\n', p.read_text()))"

image: ## the container image; TORCH_BACKEND=cu130 for NVIDIA GPUs
	TORCH_BACKEND=$(TORCH_BACKEND) deploy/build_image.sh

e2e-docker: setup image ## the whole smoke pipeline in containers of that image
	$(BIN)/python tests/e2e/in_docker.py

e2e-services: setup ## the pipeline against PostgreSQL, S3, MLflow and Redis, all real, started here
	$(BIN)/python tests/e2e/on_servers.py

IMAGE ?= pinclip-python:lab
e2e-cluster: setup ## the whole on your cluster, by KUBECONFIG; IMAGE=… that its nodes have, ARGS=--delete to clean up
	$(BIN)/python -m tests.e2e.on_cluster --image "$(IMAGE)" $(ARGS)
