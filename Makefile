# The two commands are `make course` and `make test`; `make` alone lists all.
PYTHON ?= python3
BIN := .venv/bin
# Linux without a GPU: make course TORCH_INDEX=https://download.pytorch.org/whl/cpu takes PyTorch's small CPU build.
TORCH_INDEX ?=
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
NBVAL := -p tests.nbval_strict --nbval --nbval-current-env --nbval-cell-timeout=300 --nbval-sanitize-with=tests/nbval.cfg

.DEFAULT_GOAL := help
.PHONY: help course setup test test-code test-notebooks test-browser test-classroom notebooks format constraints clean

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

course: setup ## install what is missing, check the machine, open JupyterLab on the start notebook
	$(BIN)/python -m course lab

setup: .venv/.stamp ## make .venv and install the course in it

.venv/.stamp: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed: make setup PYTHON=python3.11"'
	$(PYTHON) -m venv .venv
	$(INSTALL) --editable ".[test]"
	@touch $@

test: test-code test-notebooks ## every check: style, tests, and all notebooks at the smoke budget

test-code: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -q -n 2 -m "not browser and not classroom"

test-notebooks: setup
	COURSE_BUDGET=smoke $(BIN)/python -m pytest -q -n 2 --dist loadfile $(NBVAL) notebooks

test-browser: setup ## chapter 01, and slides, in a real browser (Chromium and the playwright package)
	$(INSTALL) --editable ".[test,browser]"
	$(BIN)/python -m pytest -q -rs -m browser tests/test_browser.py tests/test_display_keys.py tests/test_slides.py

test-classroom: setup ## hand in, grade and give feedback with nbgrader; as root, a class on a hub as well
	$(INSTALL) --editable ".[test,teach]" --requirement classroom/requirements.txt
	$(BIN)/python -m pytest -q -rs -m classroom tests/classroom

notebooks: setup ## execute the notebooks whose code changed, at the full budget, and store their outputs
	$(BIN)/python -m course notebooks

format: setup ## mend the style as far as a tool can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: setup ## write down the versions that are installed as those known to work
	@{ echo "# Versions known to work together, the one place (pyproject.toml keeps ranges); make constraints renews them."; \
	$(BIN)/python -m pip list --format=freeze --exclude-editable | grep -v -E '^(pip|setuptools|wheel)==' | sed 's/+cpu$$//'; } > constraints.txt

clean: ## remove the environment
	rm -rf .venv
