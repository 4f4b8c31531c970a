# make demo   animate an example portrait with example speech      make check   lint, types, import rules, spelling, documentation
# make test   run the test suite                                   make bench   speed as a ratio of real time
# make bench-full   memory and time of the full model, random weights: about an hour, 14 GB of memory, 10 GB of disk
# make bench-gpu    the full model on an NVIDIA GPU, at most eight minutes; docs/full-model.md states its packages

.DEFAULT_GOAL := demo
.PHONY: demo test check bench bench-full bench-gpu clean

BIN := .venv/bin
PYTHON := $(shell command -v python3.11 || command -v python3)
TORCH := torch==2.13.0
DEMO := out/demo.mp4
# Tests compare networks with these. They declare torchvision, which would replace our torch, so it stays out.
COMPARED := pytorch-fid==0.3.0 syncnet-python==0.2.3 torch-fidelity==0.4.0

demo: .venv/.lean
	@mkdir -p $(dir $(DEMO))
	$(BIN)/sonimate animate examples/portraits/astronaut_collins.jpg examples/speech/librivox_ss_0890.wav -o $(DEMO) --overwrite
	@echo "The video is $(abspath $(DEMO))"

test: .venv/.full
	$(BIN)/pytest -q -m "not slow"

check: .venv/.full
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/mkdocs build --strict --quiet --site-dir out/site

bench: .venv/.full
	$(BIN)/python benchmarks/speed.py

# Threads that spin while they wait would count as busy.
bench-full: export OMP_WAIT_POLICY = PASSIVE
bench-full: .venv/.full
	for name in convert_memory full_size_step long_video unet_speed; do $(BIN)/python benchmarks/$$name.py || exit 1; done

# For a machine that has its own torch for its GPU; GPU_PYTHON names its Python. Installs nothing.
GPU_PYTHON ?= python3
bench-gpu:
	PYTHONPATH=src $(GPU_PYTHON) benchmarks/gpu.py $(GPU_OPTIONS)

clean:
	rm -rf .venv out .pytest_cache .ruff_cache .import_linter_cache

# Each stamp is newer than pyproject.toml while its packages are installed.
.venv/.lean: pyproject.toml | $(BIN)/python
	@echo "Installing $(TORCH) and the packages in pyproject.toml into .venv, once: a minute or more, by your connection."
	$(BIN)/python -m pip install --quiet $(TORCH) -e .
	@touch $@

.venv/.full: pyproject.toml | $(BIN)/python
	@echo "Installing $(TORCH) and the packages of all extras into .venv, once: some minutes, by your connection."
	$(BIN)/python -m pip install --quiet $(TORCH) -e '.[full,prepare,c2pa,ray,web,train,eval,docs,dev]'
	$(BIN)/python -m pip install --quiet --no-deps $(COMPARED)
	@touch .venv/.lean $@

$(BIN)/python:
	$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing: apt install python3-venv"; exit 1; }
