# `make demo` and `make test` set everything up themselves; nothing else has to be typed first.
VENV   := .venv
PYTHON ?= python3.11
BIN    := $(VENV)/bin
DEMO   := $(VENV)/.demo
READY  := $(VENV)/.ready
# pip says nothing while it fetches and unpacks several GB: dots show that it goes on.
DOTS   := while sleep 2; do printf .; done & trap "kill $$!; echo" EXIT
PIP    := $(DOTS); $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable

.PHONY: help demo test check docs newest clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

demo: $(DEMO)  ## compile, simulate and train a ResNet-20 on real data; writes weft-demo/report.html
	$(BIN)/weft demo

test: $(READY)  ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto --dist worksteal

check: $(READY)  ## lint, format, types, import direction
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

docs: $(READY)  ## write the generated pages of docs/
	$(BIN)/python -m weft.compiler.plan.text.format_page > docs/plan-format.md
	$(BIN)/python -m weft.compiler.recipes.keys_page > docs/recipes.md

newest:  ## quick checks on the newest torch, jax and Python of the package index
	.ci/newest

clean:  ## remove the virtual environment
	rm -rf $(VENV)

# Made when missing, brought up to date when the dependencies change, reused otherwise. The demo needs
# less than the tests: what one installs the other keeps.
$(DEMO): pyproject.toml | $(BIN)/python
	@echo "installing what the demo needs: several GB the first time"
	@$(PIP) '.[demo]'
	touch $@

$(READY): pyproject.toml | $(BIN)/python
	@echo "installing what the tests need: several GB the first time"
	@$(PIP) '.[demo,test]'
	touch $@ $(DEMO)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
