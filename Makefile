# Each target makes the virtual environment it needs: `make quickstart` and `make test` work on a fresh machine.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
TRL_OLD := 1.9.2

.PHONY: setup quickstart test lint bench reproduce docs clean

setup: .venv/.installed

.venv/.installed: pyproject.toml Makefile
	@echo "== making .venv"
	@# Debian splits venv off into a package of its own; virtualenv does the same without it.
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv 2>/dev/null || \
	  ( rm -rf .venv && $(PYTHON) -m pip install -q --target .bootstrap virtualenv && PYTHONPATH=.bootstrap $(PYTHON) -m virtualenv -q .venv )
	$(BIN)/python -m pip install -q --upgrade pip
	@# torch first and pinned: a range lets pip pick a build with gigabytes of CUDA libraries.
	$(BIN)/python -m pip install -q torch==2.13.0
	$(BIN)/python -m pip install -q -e '.[dev]'
	@# The contracts are tested on the oldest supported TRL as well as on the newest, and on verl's own calling code.
	$(BIN)/python -m pip install -q --no-deps --target .venv/trl-$(TRL_OLD) --upgrade trl==$(TRL_OLD) requests urllib3 charset-normalizer
	$(BIN)/python -m pip install -q --no-deps --target .venv/verl-0.9.0 --upgrade -r tests/integrations/requirements-verl.txt
	@# A browser looks at the reports, bubblewrap isolates untrusted code; without them their tests skip and say so.
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && ! ( command -v chromium && command -v bwrap ) >/dev/null; then \
	  ( apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium bubblewrap ) >/dev/null 2>&1 \
	  || echo "chromium and bubblewrap could not be installed: tests that need them will skip"; fi
	@touch $@

quickstart: setup
	$(BIN)/plaudit quickstart -o runs/quickstart

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest

bench: setup
	$(BIN)/python benchmarks/contract.py

# Takes what `plaudit reproduce --list` adds up to. Everything is measured and written down, also what does not hold: the exit
# status says so at the end.
# What is finished stays in runs/reproduce: after an interruption the same command goes on.
reproduce: setup
	@$(BIN)/plaudit reproduce --all -o runs/reproduce; status=$$?; \
	  [ $$status -le 1 ] && $(BIN)/python docs/generate.py --results runs/reproduce && exit $$status

docs: setup
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html"

clean:
	rm -rf .venv .bootstrap runs site .pytest_cache .mypy_cache .ruff_cache .hypothesis
