# make run    set-up, then the quickstart: Django's translations -> a trained,
#             judged, exported and verified sentence encoder in runs/quickstart
# make test   set-up, then the tests
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUN := runs/quickstart
# Most tests keep one core busy: two of them at a time.
TEST_PROCESSES := 2
# Of `labse evaluate --task=tatoeba`, with labse_small_open and its peer.
TATOEBA := reports/tatoeba/report.html

.PHONY: setup run test test-slow lint bench screenshots clean

setup: $(VENV)/.ready

# Made anew when what it is made from changes.
$(VENV)/.ready: setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[quickstart]'
	touch $@

# What tests, lint and benchmarks need beyond that. PyTorch first and by itself:
# see "The parity extra" in BUILD_NOTES.md.
$(VENV)/.test-ready: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[quickstart,test,parity,mining,beam]'
	touch $@

run: setup
	PATH="$(CURDIR)/$(BIN):$$PATH" examples/quickstart.sh $(RUN)

test: $(VENV)/.test-ready
	$(BIN)/python -m pytest -m "not slow" -n $(TEST_PROCESSES)

test-slow: $(VENV)/.test-ready
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.test-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

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

screenshots: setup
	$(BIN)/python examples/screenshot.py $(RUN)/report.html docs/quickstart_report.png
	test ! -f $(TATOEBA) || $(BIN)/python examples/screenshot.py $(TATOEBA) docs/small_open_tatoeba.png 900

clean:
	rm -rf $(VENV) .venv-peer build *.egg-info
