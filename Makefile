# Each target makes its own environment, .venv in this folder. PYTHON=python3.13 chooses another Python. LOCK=no takes
# the newest versions for development instead of the locked ones, LOCK=FILE those of another list of constraints.

export PYTHON
export LOCK
python := .venv/bin/python

.PHONY: help demo comfyui test lint bench generate lock clean

help: ## show this list
	@echo "make TARGET, where TARGET is"
	@sed -n 's/^\([a-z]*\):.* ## /  \1	/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

demo: ## run all eight models in the sandbox, and a workflow in ComfyUI if it is there
	@.ci/environment
	@$(python) demo/run.py

comfyui: ## install ComfyUI for the tests and the demo, with comfy-cli, in ~/comfy/ComfyUI or COMFYUI_PATH
	@.ci/comfyui

test: lint ## check style and types, and run all tests (SLOW=no: without the slow ones)
	$(python) -m pytest $(if $(filter no,$(SLOW)),-m "not slow")

lint: ## check style and types
	@.ci/environment dev
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m basedpyright --pythonpath $(python)

bench: ## measure speed and memory against a baseline of the same run, and list all goals
	@.ci/environment dev
	@$(python) bench/run.py

generate: ## write what is derived from the code: texts, help pages, pictures, workflows
	@.ci/environment dev
	@$(python) tools/generate.py

lock: ## write the lock of versions for development from the newest ones
	@LOCK=no UPGRADE=yes .ci/environment dev
	@$(python) tools/lock.py

clean: ## remove what was made here: environment, results, caches
	[ ! -e .venv/.made-by-make ] || rm -rf .venv
	rm -rf build dist demo-results remote_upscale.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
