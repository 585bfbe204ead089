# Two commands do all the set-up: `make run` and `make test`.
# PYTHON names one of 3.11 to 3.13 (left out: whichever is there); TORCH_BACKEND the torch: cpu, auto, cu130 …
export PYTHON TORCH_BACKEND
BIN := .venv/bin
export GX_ANALYTICS_ENABLED := false
export RAY_USAGE_STATS_ENABLED := 0
export TOKENIZERS_PARALLELISM := false
export GOMP_SPINCOUNT := 1000
# Where Python may not keep what it has compiled, each of a run's many processes compiles torch and Ray anew.
unexport PYTHONDONTWRITEBYTECODE
# Modules of another project would hide those of this environment.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help setup setup-matrix run test lint fast lock image e2e-docker e2e-services e2e-cluster

help: ## what there is
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

setup: ## virtual environment with the locked packages; a second time it only looks
	@setup/install.sh

setup-matrix: ## an environment and a smoke run for every Python that is here
	@setup/matrix.sh

run: setup ## generate a catalogue and run the whole pipeline on it
	$(BIN)/pinclip doctor
	$(BIN)/pinclip generate --pins 3000 --boards 600 --out catalogues/generated
	$(BIN)/pinclip run --catalogue catalogues/generated --profile demo --set train.epochs=10

# Side by side, what takes longest first, so that none of it is left for the end.
LONG := tests/e2e tests/components/ray/distributed tests/serving tests/pipelines tests/components \
	tests/model/training
test: setup lint ## linters, type checker and all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder $(LONG) tests

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

fast: setup ## the tests that take seconds
	$(BIN)/pytest tests/model tests/pipelines -x

lock: setup ## resolve requirements.lock from the floors in pyproject.toml; UPGRADE=--upgrade moves all of it
	$(BIN)/python setup/lock.py $(UPGRADE)

image: ## the container image; TORCH_BACKEND=cu130 for NVIDIA GPUs
	TORCH_BACKEND=$(or $(TORCH_BACKEND),cpu) deploy/build_image.sh

e2e-docker: setup image ## the whole smoke pipeline in containers of that image
	$(BIN)/python tests/e2e/in_docker.py

e2e-services: setup ## the pipeline against PostgreSQL, S3, MLflow and Redis, all real, started here
	PYTHONPATH=$(CURDIR):$(CURDIR)/tests $(BIN)/python tests/e2e/on_servers.py

IMAGE ?= pinclip-python:lab
e2e-cluster: setup ## the whole on your cluster, by KUBECONFIG; IMAGE=… that its nodes have, ARGS=--delete to clean up
	$(BIN)/python -m tests.e2e.on_cluster --image "$(IMAGE)" $(ARGS)
