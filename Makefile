# make demo    train, save and use a small model, start to finish
# make test    every test
# make check   lint, format, types, direction of imports
# make bench   the speed scripts
# make clean   remove .venv and everything generated
#
# Each makes .venv first, from $(PYTHON), and only when pyproject.toml or constraints.txt changed.

PYTHON ?= python3
export PYTHON
PY := .venv/bin/python
SMOKE := $(wildcard tests/test_smoke.py)
# Part of the stamps' names, so that another PYTHON gets a fresh .venv.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
DEMO := .venv/stamps/demo-$(VERSION)
DEV := .venv/stamps/dev-$(VERSION)

.PHONY: help demo test check bench clean
# `make -j demo test` must not run two pips in one environment.
.NOTPARALLEL:

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

$(DEMO) $(DEV): .venv/stamps/%-$(VERSION): pyproject.toml constraints.txt scripts/venv
	@sh scripts/venv $* $@

demo: $(DEMO)
	$(PY) examples/digits.py

# The smoke file first and alone: when the basics are broken, say so in seconds.
test: $(DEV)
ifneq ($(SMOKE),)
	$(PY) -m pytest -q $(SMOKE)
endif
	$(PY) -m pytest -n 2 --dist loadfile -q tests $(SMOKE:%=--ignore=%)

check: $(DEV)
	@sh scripts/check

# Files that begin with _ are shared helpers.
BENCH := $(wildcard benchmarks/[!_]*.py tests/speed/[!_]*.py)
bench: $(DEV)
	@[ -n "$(BENCH)" ] || { echo "no speed scripts in benchmarks or tests/speed"; exit 1; }
	@for script in $(BENCH); do echo "== $$script"; $(PY) "$$script" || exit 1; done

clean:
	rm -rf .venv build dist out .pytest_cache .ruff_cache .hypothesis
	find src tests examples scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
