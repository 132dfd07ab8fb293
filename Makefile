# make run    set-up, then the quickstart: Django's translations -> a trained,
#             evaluated, exported and verified sentence encoder in runs/quickstart
# make test   set-up, then the tests
# make docs   set-up, then the documentation's site in site/
# Another Python, another TensorFlow: make test PYTHON=python3.12 TENSORFLOW=2.19
PYTHON ?= python3.11
PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ifndef PYTHON_VERSION
$(error PYTHON=$(PYTHON) does not run)
endif
# An environment for each combination.
VENV := .venv$(if $(filter-out 3.11,$(PYTHON_VERSION)),-python$(PYTHON_VERSION))$(if $(TENSORFLOW),-tensorflow$(TENSORFLOW))
# Where several files pin a package, the first does.
CONSTRAINTS := $(wildcard constraints-python$(PYTHON_VERSION).txt) $(if $(TENSORFLOW),constraints-tensorflow$(TENSORFLOW).txt) constraints.txt
PIP := $(VENV)/bin/python -m pip install --quiet -c $(VENV)/constraints.txt
BIN := $(VENV)/bin
RUN := runs/quickstart
# Most tests keep one core busy: two of them at a time.
TEST_PROCESSES := 2
# Of `labse evaluate --task=tatoeba`, with labse_small_open and its peer.
TATOEBA := reports/tatoeba/report.html

.PHONY: setup run test test-slow lint docs notebooks bench tpu-compile tpu-compile-environments screenshots clean

setup: $(VENV)/.ready

# Made anew when what it is made from changes.
$(VENV)/.ready: setup.py $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	awk -F== '!seen[$$1]++' $(CONSTRAINTS) > $(VENV)/constraints.txt
	$(PIP) -e '.[quickstart]'
	touch $@

# What tests, lint and benchmarks need beyond that. PyTorch first and by itself:
# see "The parity extra" in BUILD_NOTES.md.
$(VENV)/.test-ready: $(VENV)/.ready
	$(PIP) torch==2.13.0
	$(PIP) -e '.[quickstart,test,parity,mining,corpora]'
	$(BIN)/python -m pip uninstall --quiet --yes triton
	touch $@

$(VENV)/.docs-ready: $(VENV)/.ready
	$(PIP) -e '.[docs]'
	touch $@

run: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" examples/quickstart.sh $(RUN)

test: $(VENV)/.test-ready
	$(BIN)/python -m pytest -m "not slow" -n $(TEST_PROCESSES) --dist=worksteal

test-slow: $(VENV)/.test-ready
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.test-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

docs: $(VENV)/.docs-ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Runs the notebooks of examples/ with their outputs saved.
notebooks: $(VENV)/.test-ready
	PATH="$(CURDIR)/$(BIN):$$PATH" python examples/run_notebooks.py

# The peers (PyTorch, sentence-transformers) live in an environment of their own.
.venv-peer/.ready: benchmarks/peer_requirements.txt
	$(PYTHON) -m venv .venv-peer
	.venv-peer/bin/python -m pip install --quiet torch==2.13.0
	.venv-peer/bin/python -m pip install --quiet -r benchmarks/peer_requirements.txt
	touch $@

# Tatoeba's sentences and mBERT's vocabulary where LABSE_DATA_DIR has them,
# the quickstart's otherwise.
ifndef LABSE_DATA_DIR
TEXTS := --input=$(RUN)-data/sentences.txt --vocab=$(RUN)/vocab.txt
endif

$(RUN)-data/sentences.txt:
	cut -f2 $(RUN)-data/pairs.tsv | tail -n +2 > $@

bench: $(VENV)/.test-ready .venv-peer/.ready $(RUN)-data/sentences.txt
	$(BIN)/python benchmarks/tokenizer.py --vocab=$(RUN)/vocab.txt --input=$(RUN)-data/pairs.tsv
	$(BIN)/python benchmarks/encode.py --peer_python=.venv-peer/bin/python $(TEXTS)
	$(BIN)/python benchmarks/encode.py --peer_python=.venv-peer/bin/python $(TEXTS) --memory
	$(BIN)/python benchmarks/train_step.py --peer_python=.venv-peer/bin/python
	$(BIN)/python benchmarks/convert.py
	$(BIN)/python benchmarks/search.py --size=30000
	$(BIN)/python benchmarks/mining.py --rows=30000

# The training step compiled for TPUs that are not here. TensorFlow's build for
# TPU lowers it; both builds are one folder, so it takes the place of the other.
.venv-tpu-lower/.ready: setup.py constraints.txt
	$(PYTHON) -m venv .venv-tpu-lower
	.venv-tpu-lower/bin/python -m pip install --quiet -c constraints.txt -e .
	.venv-tpu-lower/bin/python -m pip uninstall --quiet --yes tensorflow
	.venv-tpu-lower/bin/python -m pip install --quiet --no-deps tensorflow-tpu==2.20.0
	touch $@

# libtpu, which JAX brings, compiles it. (Its licence: Google Cloud's terms.)
.venv-tpu-compile/.ready:
	$(PYTHON) -m venv .venv-tpu-compile
	.venv-tpu-compile/bin/python -m pip install --quiet 'jax[tpu]==0.10.2'
	touch $@

tpu-compile-environments: .venv-tpu-lower/.ready .venv-tpu-compile/.ready

# Hours, the most important rows first. Killed, it resumes.
tpu-compile: tpu-compile-environments
	$(PYTHON) -m benchmarks.tpu_compile

screenshots: setup
	$(BIN)/python examples/screenshot.py $(RUN)/report.html docs/quickstart_report.png
	test ! -f $(TATOEBA) || $(BIN)/python examples/screenshot.py $(TATOEBA) docs/small_open_tatoeba.png 900

clean:
	rm -rf .venv .venv-* build site *.egg-info
