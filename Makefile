# Everything starts here. Needs make and Python 3.11 or later; brings the rest into .venv by itself.

PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$p" && break; done)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
SUBSET := $(wildcard tests/core tests/schemas tests/house)

# Each holds hundreds of random or altered cases a test; in daily use the others tell as much.
AT_LENGTH := tests/core/test_settlement_properties.py tests/core/test_odd_contracts.py \
	tests/core/interchange/test_odd_texts.py

# Two processes, each with servers of its own. Given servers are one pair, with one set of topics:
# there one test follows the other.
SHARED := $(or $(EARNBACK_KAFKA),$(EARNBACK_POSTGRES),$(filter given,$(EARNBACK_RUNG)))
PARALLEL := -n $(if $(SHARED),0,2) --dist loadfile --no-loadscope-reorder

# The same examples every time, however slow the machine is: what is red is red again.
STEADY := --hypothesis-profile=ci

UV := uv==0.13.9

# In an environment of its own: it asks for a newer click than faust-streaming allows. No test of
# the core imports either.
MUTMUT := mutmut==3.8.1

CYCLONEDX := cyclonedx-bom==7.5.0

# Hash checking covers what the lock names; nothing else may be fetched on the way.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

# The tests start hundreds of processes: compiled once, each of them starts half a second sooner.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test check static bench chaos simulate mutants lock wheel image sbom venv clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP)  ## three vendors, one quarter, from events to statements, on real Kafka and Postgres
	$(BIN)/earnback demo

check: static  ## daily use, under a minute: lint, format, types, import rules, core and schemas
	$(BIN)/pytest -q -n 2 --dist worksteal $(SUBSET) $(AT_LENGTH:%=--ignore=%)

test: static  ## all of it: the checks, and every test on real Kafka and Postgres
	$(BIN)/pytest $(PARALLEL) $(STEADY)

static: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

bench: $(STAMP)  ## events per second through the chain, beside the raw limit of this machine
	$(BIN)/python -m bench

chaos: $(STAMP)  ## twenty minutes: all that may fail does while a million events flow; writes docs/chaos.md
	$(BIN)/python -m tests.chaos $(SEED:%=--seed %) $(KILLS:%=--kills %) $(MINUTES:%=--minutes %) \
		$(EVENTS:%=--events %) --report $(or $(REPORT),docs/chaos.md)

simulate: $(STAMP)  ## minutes, a part of it in test: 10,000 simulated worlds of the protocol, each from its seed
	$(BIN)/python -m tests.simulation $(SIMULATE)

mutants:  ## hours, not part of test: changes the core in small places; a test must notice each
	@$(call need_python)
	"$(PYTHON)" -m venv build/mutants
	build/mutants/bin/pip install -q --require-hashes -r requirements.lock
	build/mutants/bin/pip install -q $(MUTMUT)
	nice build/mutants/bin/python -m tests.core.mutants $(MUTANTS) build/mutants.jsonl

venv: $(STAMP)  ## only the environment, in .venv

lock:  ## resolve the dependencies anew and pin each by its hashes
	@$(call need_python)
	"$(PYTHON)" -m venv build/lock
	build/lock/bin/pip install -q $(UV)
	printf '%s\n' 'setuptools>=80' 'pip>=26' | build/lock/bin/uv pip compile pyproject.toml - --extra dev \
		--universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--quiet --output-file requirements.lock
	echo 'setuptools>=80' | build/lock/bin/uv pip compile pyproject.toml - --extra cli \
		--constraints requirements.lock --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --quiet --output-file infra/requirements.lock

# The folder in which setuptools gathers files keeps what a wheel before had.
wheel: $(STAMP)  ## a wheel in dist, and the versions that it was tested with
	rm -rf build/lib
	$(BIN)/pip wheel -q --no-deps --no-build-isolation --wheel-dir dist .
	sed -e '/--hash=/d' -e 's/ *\\$$//' requirements.lock > dist/constraints.txt

image:  ## the image of the services, earnback:VERSION; needs a Docker engine
	docker build --tag earnback:$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) --file infra/Dockerfile $(IMAGE) .

sbom:  ## what the image is made of, as CycloneDX, in dist
	@$(call need_python)
	"$(PYTHON)" -m venv build/sbom
	build/sbom/bin/pip install -q $(CYCLONEDX)
	mkdir -p dist
	build/sbom/bin/cyclonedx-py requirements infra/requirements.lock --pyproject pyproject.toml \
		--output-reproducible --output-file dist/earnback.cdx.json

clean:  ## remove the environment and all caches in this folder; data and downloads stay
	rm -rf $(VENV) build dist mutants *.egg-info .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The pip that comes with Python may be years old, and need twice the time for the same. What it
# installs is compiled afterwards, on all cores and without the tests of others.
$(STAMP): requirements.lock pyproject.toml
	@$(call need_python)
	test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	awk '/^[a-z]/ { mine = /^pip==/ } mine' requirements.lock > $(VENV)/pip.lock
	$(BIN)/python -m pip install -q --no-compile --require-hashes -r $(VENV)/pip.lock
	$(BIN)/python -m pip install -q --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -qq --no-compile --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib || true  # some are templates
	@touch $@

define need_python
test -n "$(PYTHON)" || { \
	echo "No Python 3.11 or later with venv was found."; \
	echo "Install one (on Debian and Ubuntu: python3 and python3-venv), or say where it is:"; \
	echo "  make PYTHON=/path/to/python3.11 ..."; exit 1; }
endef
