# The doors of the project. Everything lives in .venv and .data below this folder; nothing else is touched.
.DEFAULT_GOAL := help
.NOTPARALLEL:

BIN := $(CURDIR)/.venv/bin
PYTEST_ARGS ?=
export SFT_STUDIO_DATA ?= $(CURDIR)/.data
export PYTHON

.PHONY: help install demo serve check test families memory bench faults interop several trackers pictures kernels clean

help: ## Show this list
	@sed -nE 's/^([a-z]+):.*## (.*)$$/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

install: ## Make .venv with pinned dependencies and the base model; quick when nothing changed
	@.ci/install

demo: install ## Train, evaluate and report on sample dialogues, live; ONESHOT=1 ends after the report
	@exec $(BIN)/sft-studio demo $(if $(filter 1 true yes,$(ONESHOT)),--oneshot)

serve: install ## Start the web server and the workers
	@exec $(BIN)/sft-studio serve

check: install ## Format, lint, types, templates, browser code, dependencies, structure, translations, migrations
	@.ci/check

test: install ## Everything that CI runs
	@.ci/chromium
	@$(MAKE) --no-print-directory check
	@.ci/tests --ignore=tests/core $(PYTEST_ARGS)

families: install ## Every kind of model that transformers knows, trained beside transformers and PEFT alone
	ALL_FAMILIES=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 tests/worker/work/training/test_families.py

memory: install ## The memory that runs are expected to take beside what they take: method × batch × length
	ALL_MEMORY=1 $(BIN)/python -m pytest -q --timeout 600 tests/worker/work/training/test_memory.py

bench: install ## Benchmarks side by side with peers; BENCH="masks import" picks, JSON=FILE keeps the figures
	@exec $(BIN)/python -m tests.benchmarks $(BENCH) $(if $(JSON),--json $(JSON)) $(if $(TOOLS),--tools $(TOOLS)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(AVX2),--avx2)

faults: install ## Faults on purpose, many times, with figures; ROUNDS=20 for more, FAULTS="'worker killed'" picks
	@exec $(BIN)/python -m tests.faults $(FAULTS) $(if $(ROUNDS),--rounds $(ROUNDS))

interop: install ## Exports trained for real by LLaMA-Factory, Axolotl, TRL and Unsloth; INTEROP="axolotl trl" picks
	@exec $(BIN)/python -m tests.interop $(INTEROP) $(if $(JSON),--json $(JSON))

several: install ## Runs in two processes, TRL's with DeepSpeed and LLaMA-Factory's, beside one with twice the accumulation
	@OMP_NUM_THREADS=1 exec $(BIN)/python -m tests.interop --several trl llamafactory

pictures: install ## The pictures of docs/, from a real server with real runs; some ten minutes
	@.ci/chromium
	@exec $(BIN)/python -m tests.pictures

trackers: install ## Runs told to a real MLflow server and read back by its client; TRACKERS="'a run that fails'" picks
	@exec $(BIN)/python -m tests.trackers $(TRACKERS)

kernels: install ## Liger's kernels, interpreted on the CPU, beside the plain pass of small models; KINDS="llama qwen3" picks
	@exec $(BIN)/python -m tests.kernels $(KINDS)

clean: ## Remove .venv and caches; the data in .data stay
	rm -rf .venv .test-cache .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build
