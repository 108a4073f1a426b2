# make demo   set up, run the pipeline on the embedded sample, say what was made     (PRESET=smoke: the route in a few minutes)
# make test   set up, run the tests
# make team   set up, with what a team's MLflow server, its clients and their tests need
# make parity set up, compare every component with the kept numbers of Coqui TTS      (PEER=its python: make these anew first)
# make corpus CORPUS=folder   the pipeline on your own recordings (which layout they have is found out; LAYOUT=… says it)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PRESET ?= demo
CORPUS ?=
LAYOUT ?=
SET ?=
PEER ?=
export PATH := $(CURDIR)/$(BIN):$(PATH)
export TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_ENABLE_ONEDNN_OPTS ?= 1
export PYTHONUNBUFFERED := 1

.PHONY: setup team demo corpus test test-slow parity lint ui clean

setup: $(VENV)/ready

# the commands of a virtual environment name the folder it was made in: one that was moved or copied is made again
ifneq ($(wildcard $(BIN)/pip),)
ifeq ($(shell head -3 $(BIN)/pip | grep -F '$(CURDIR)/$(BIN)/'),)
.PHONY: $(VENV)/ready
endif
endif

# made again when the packages wanted change
$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make setup PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	head -3 $(BIN)/pip | grep -qF '$(CURDIR)/$(BIN)/' || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[sample,evaluation,whisper,mos,languages,plots,serve,dev]'
	$(BIN)/myxtts plots
	@touch $@

# a team's server, its clients and their tests (docs/team.md)
team: setup
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[team,team-test]'

demo: setup
	@myxtts use $(PRESET) $(foreach pair,$(SET),--set '$(pair)')
	@myxtts pipeline
	@myxtts made

# through the environment: a path may hold spaces and quotes
corpus: export CORPUS := $(CORPUS)
corpus: export LAYOUT := $(LAYOUT)
corpus: setup
	@test -n "$$CORPUS" || { echo "say where your recordings are: make corpus CORPUS=folder [LAYOUT=coqui]"; exit 1; }
	@myxtts use real_speech --corpus "$$CORPUS" $${LAYOUT:+--layout "$$LAYOUT"} $(foreach pair,$(SET),--set '$(pair)')
	@myxtts pipeline
	@myxtts made

# TensorFlow traces with one thread: two processes halve the time; each file stays in one, for its fixtures (tests/conftest.py). In order, for the
# longest group has few tests: sorted by their number it would come last, and alone
test: setup
	pytest -n 2 --dist loadgroup --no-loadscope-reorder

test-slow: setup
	pytest -m slow

# full size included: 5 GB of memory, three minutes
parity: setup
	@python tests/parity/report.py $(if $(PEER),--peer $(PEER) --write docs/parity.md)

lint: setup
	ruff check .
	ruff format --check .
	lint-imports

ui: setup
	mlflow ui

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache
