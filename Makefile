# `make` alone lists the targets. Nothing is installed outside .venv.
.DEFAULT_GOAL := help
.PHONY: help demo test check docs clean .venv

PACKAGES := synthpert callbacks data_modules tools
BIN := .venv/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -qq --no-input
STAMP := .venv/.installed

help: ## list the targets
	@sed -n 's/^\([a-z.]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "  make %-7s %s\n", $$1, $$2 }'

# Each step is a file that the next one needs: a second run redoes nothing, and an interrupted one
# goes on. Every command is shown, so that it can be typed by hand.
SYNTHPERT := $(BIN)/synthpert
DEMO := runs/demo

demo: $(DEMO)/predictions.parquet $(DEMO)/majority.parquet $(DEMO)/gene-prior.parquet ## the whole pipeline on the bundled sample, in a few minutes
	$(SYNTHPERT) score $< --json $(DEMO)/score.json
	$(SYNTHPERT) report $< --run $(DEMO) --traces $(DEMO)/journal.sqlite --out $(DEMO)/report.html
	@echo
	@echo 'Everything lies in $(DEMO): traces.parquet, predictions.parquet, score.json, evaluation/.'
	@echo 'Next, the real benchmark: $(SYNTHPERT) data fetch --out data/perturbqa'
	@echo 'Open in a browser: $(DEMO)/report.html'

$(DEMO)/traces.parquet: $(STAMP)
	$(SYNTHPERT) traces make --config configs/traces.yaml --questions 9000 --balance uniform --journal $(DEMO)/journal.sqlite --out $@

$(DEMO)/.trained: $(DEMO)/traces.parquet
	$(SYNTHPERT) fit --config configs/tiny.yaml --run $(DEMO) --model.base $(DEMO)/base --data.init_args.traces $< --ckpt_path last
	@touch $@

$(DEMO)/predictions.parquet: $(DEMO)/.trained
	$(SYNTHPERT) test --config configs/tiny.yaml --run $(DEMO) --model.base $(DEMO)/base --ckpt_path last

$(DEMO)/%.parquet: $(STAMP)
	$(SYNTHPERT) baseline $* --out $@

test: $(STAMP) ## all tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP) ## lint, format and types
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy $(PACKAGES)

# Strict: a link that leads nowhere, or a page that is in no menu, is an error. (With --quiet MkDocs
# would not count its warnings.)
docs: $(STAMP) ## the documentation as a site, build/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo 'Open in a browser: build/site/index.html'

clean: ## remove caches and build products; keeps .venv, data and runs
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	@find $(PACKAGES) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.venv: $(STAMP) ## install everything into .venv, once

# The stamp is younger than what it was made from, so a second run does nothing. A .venv without
# pip is what an interrupted `venv` leaves behind; it is made anew.
$(STAMP): setup.cfg pyproject.toml constraints.txt
	@set -e; \
	wanted='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))'; \
	found=''; \
	for python in $(or $(PYTHON),python3.11 python3.12 python3); do \
	  if "$$python" -c "$$wanted" 2>/dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo 'make: needs Python 3.11 or 3.12; give its path: make PYTHON=/path/to/python3.11' >&2; \
	  exit 1; \
	fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "Making .venv with $$found ..."; \
	  "$$found" -m venv --clear .venv; \
	fi; \
	echo 'Installing torch (the largest download; once, some minutes) ...'; \
	$(PIP) -c constraints.txt torch==2.13.0; \
	echo 'Installing SynthPert and what else it needs ...'; \
	$(PIP) -c constraints.txt -e '.[teacher,wandb,dev]'; \
	touch $(STAMP); \
	echo 'Installed into .venv.'
