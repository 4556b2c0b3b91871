# `make figures` and `make test` set up everything they need in .venv; python3 (3.11 or newer) and make are enough.
PYTHON ?= python3
BIN := .venv/bin
NB ?=
# two test processes share the cores
test test-all mutation: export OMP_NUM_THREADS = 1
test-all: export GROWLIB_EXAMPLES = 200
# `make bench` tells how long a command took when it last ran to its end, all of it
began = @mkdir -p .cache && date +%s > .cache/began-$@
ended = @$(if $(NB),,echo "$@,$$(date +%F),$$(($$(date +%s) - $$(cat .cache/began-$@)))" >> .cache/timings.csv)

.DEFAULT_GOAL := help
.PHONY: help figures paper notebooks data lab dashboard test test-all pythons mutation bench readme lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

figures: .venv/ready  ## every figure at the quick scale, into figures/quick/ (NB=02 runs one notebook)
	$(began)
	$(BIN)/python tools/notebooks.py --scale quick --only $(NB)
	$(ended)

paper: .venv/ready  ## the published scale: computes what data/ lacks, then writes figures/
	$(BIN)/python tools/notebooks.py --scale paper --only $(NB)

notebooks: readme  ## runs the notebooks at the published scale and puts their outputs into them
	$(BIN)/python tools/notebooks.py --scale paper --commit --only $(NB)

data: .venv/ready  ## computes the studies and the derived tables that data/ lacks
	$(BIN)/python tools/data.py

readme: data  ## writes RESULTS.md, and the numbers from data/ into the README and the short answers
	$(BIN)/python tools/readme.py

lab: .venv/ready  ## JupyterLab on the collection
	$(BIN)/jupyter lab --ip=127.0.0.1 $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

dashboard: .venv/ready  ## the notebooks in Voila: pictures and sliders, no code
	$(BIN)/voila --Voila.ip=127.0.0.1 --Voila.auto_token=True notebooks

test: .venv/ready  ## what CI runs; with Chromium on the machine, three notebooks in it, too
	$(began)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --nbval-lax --nbval-current-env --nbval-cell-timeout=300 notebooks
	$(BIN)/python tools/notebooks.py --scale quick --only 02 07 12
	$(ended)

test-all: test  ## and what takes longer: every notebook in Chromium, every figure, strictly
	$(BIN)/python -m pytest -m slow tests
	$(BIN)/python tools/notebooks.py --scale quick

pythons: .venv/ready  ## the module's tests on every Python here, with the oldest and newest libraries: tests/PYTHONS.md (an hour, 6 GB)
	$(BIN)/python tools/pythons.py

mutation: .venv/ready  ## which small changes of the method's core no test notices: tests/MUTATION.md (a quarter of an hour)
	PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 $(BIN)/python tests/mutation.py

bench: .venv/ready $(if $(JAX),.cache/jax-venv/ready)  ## measures speed, memory and start into figures/benchmarks.md (JAX=1: beside JAX, BASE=COMMIT: beside a commit)
	$(BIN)/python tests/benchmarks/bench.py $(if $(BASE),--base $(BASE))

lock:  ## requirements.lock anew: every package that requirements.txt leads to, with its hashes
	$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip install -q uv==0.13.9
	.cache/lock/bin/uv pip compile requirements.txt --output-file requirements.lock --universal --python-version 3.11 --generate-hashes \
		--no-config --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet

clean:  ## removes what the commands above made and git does not keep
	rm -rf .venv .cache figures/quick .pytest_cache .ruff_cache *.egg-info __pycache__ */__pycache__ */*/__pycache__

.venv/ready: requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "PYTHON is '$(PYTHON)'; it takes a Python of 3.11 or newer, by its name or path"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "python3 is %d.%d; this collection takes 3.11 or newer (PYTHON=... names another)" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -r requirements.txt
	$(BIN)/python -m pip install -q --no-deps -e .
	@touch $@

.cache/jax-venv/ready: tests/benchmarks/requirements-jax.txt
	$(PYTHON) -m venv .cache/jax-venv
	.cache/jax-venv/bin/python -m pip install -q -r tests/benchmarks/requirements-jax.txt
	@touch $@
