# Each target makes its own environment, .venv in this folder. PYTHON=python3.13 chooses another Python.

export PYTHON
python := .venv/bin/python

.PHONY: help demo comfyui test lint bench clean

help: ## show this list
	@echo "make TARGET, where TARGET is"
	@sed -n 's/^\([a-z]*\):.* ## /  \1	/p' $(firstword $(MAKEFILE_LIST)) | expand -t 10

demo: ## run all eight models in the sandbox, and a workflow in ComfyUI if it is there
	@.ci/environment
	@$(python) demo/run.py

comfyui: ## install ComfyUI for the tests and the demo, with comfy-cli, in ~/comfy/ComfyUI or COMFYUI_PATH
	@.ci/comfyui

test: lint ## check style and types, and run all tests
	$(python) -m pytest

lint: ## check style and types
	@.ci/environment dev
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m basedpyright --pythonpath $(python)

bench: ## measure speed and memory against a baseline taken in the same run
	@.ci/environment dev
	@$(python) bench/run.py

clean: ## remove what was made here: environment, results, caches
	[ ! -e .venv/.made-by-make ] || rm -rf .venv
	rm -rf build dist demo-results remote_upscale.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
