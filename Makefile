# One word runs each thing; CI calls the same words.
.DEFAULT_GOAL := help
.PHONY: help smoke setup doctor run import demo inspect rebuild test unit integration conformance nightly corpora browser pictures check audit format bench docs package conformance-statement lock clean

export PORT ?= 7071
export AZURITE_PORT ?= 10000
export DATA_DIR ?= $(CURDIR)/.data
export EPHEMERAL ?=
export AUTH ?=
export FHIR ?=
export VIEWER ?= 1
export TOKEN ?=
export READER_TOKEN ?=
export WORKERS ?= 1
PY := .venv/bin/python
# Two processes suit small machines; more only help where there are cores for Azurite and the workers too.
TEST_PROCESSES ?= 2

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## all packages and the storage emulator (the other targets do it themselves)
	@scripts/setup dev

doctor: ## what keeps the service from running on this machine, and the remedy
	@scripts/doctor

run: ## the service on http://localhost:7071, on Azurite (PORT= AZURITE_PORT= DATA_DIR= EPHEMERAL=1 AUTH=1 FHIR=1 VIEWER=0 HOST=func)
	@scripts/setup run
	@scripts/run

import: ## send a folder of DICOM files: DIR= (URL= over STOW-RS, PARTITION=, ARGS=; docs/operate/import.md)
	@scripts/setup import
	@PYTHONPATH=cli $(PY) -m dicom_cli import "$(DIR)" $(if $(URL),--url "$(URL)") $(if $(PARTITION),--partition "$(PARTITION)") $(ARGS)

demo: ## ten synthetic studies for a service that runs (URL=, default http://localhost:7071)
	@scripts/setup import
	@PYTHONPATH=cli $(PY) -m scripts.demo $(if $(URL),"$(URL)","http://localhost:$(PORT)")

inspect: ## what the tables of a store hold, with the settings of the app: ARGS="--rows" (docs/operate/backup.md)
	@scripts/setup import
	@$(PY) -m scripts.inspect_tables $(ARGS)

rebuild: ## the index from the files, with the settings of the app: ARGS="--verify" (docs/operate/backup.md)
	@scripts/setup import
	@$(PY) -m scripts.rebuild_index $(ARGS)

test: setup ## every test that CI runs: unit, architecture, integration, conformance
	@scripts/test

unit: setup ## unit and architecture tests only: a minute or two, no sockets
	@$(PY) -m pytest tests/unit tests/architecture -m "not nightly" -n $(TEST_PROCESSES)

integration: setup ## adapters, triggers and index on Azurite
	@$(PY) -m pytest tests/integration -m "not nightly"

conformance: setup ## the specification over HTTP; DICOMWEB_URL=https://... tests a service elsewhere
	@$(PY) -m pytest tests/conformance

nightly: setup ## the minutes-long histories, crash tests, fuzzers, and requests made of the OpenAPI documents
	@scripts/setup-openapi
	@$(PY) -m pytest tests -m nightly --timeout 3600

corpora: setup ## some 330 files of other projects, compared with what other decoders read (fetches them first)
	@scripts/setup-corpora
	@$(PY) -m pytest tests/corpora -n $(TEST_PROCESSES)

browser: setup ## the pages and OHIF Viewer in a real browser (sets up Chromium and the viewer first)
	@scripts/setup-browser
	@$(PY) -m pytest tests/browser

pictures: setup ## the pictures of the documents, anew from the pages as they are
	@scripts/setup-browser
	@PYTHONPATH=cli $(PY) -m tests.browser.pictures

check: setup ## format, lint, types, import contracts, Bicep files, Dockerfile, known vulnerabilities
	@scripts/check

audit: setup ## known vulnerabilities of every pinned package; fails when they cannot be looked up
	@$(PY) -m scripts.audit

format: setup ## let the formatter and the linter mend what they can
	@$(PY) -m ruff format . && $(PY) -m ruff check --fix .

smoke: ## whether the service at URL= works, in a minute (TOKEN= READER_TOKEN= ORIGIN= PARTITION= LARGE=1; docs/operate/smoke.md)
	@scripts/setup import
	@PYTHONPATH=cli $(PY) -m dicom_cli smoke "$(URL)" $(if $(ORIGIN),--origin "$(ORIGIN)") $(if $(PARTITION),--partition "$(PARTITION)") \
		$(if $(LARGE),--large) $(if $(GROUP),--group "$(GROUP)" --app "$(APP)") $(if $(IMPORT),--import-account "$(IMPORT)") \
		$(if $(WORKSPACE),--workspace "$(WORKSPACE)")

bench: setup ## benchmarks against a service started for it; PEER=URL PEER_PID= beside another server (benchmarks/README.md)
	@$(PY) -m benchmarks $(if $(PEER),--peer "$(PEER)") $(if $(PEER_PID),--peer-pid "$(PEER_PID)") $(ARGS)

package: ## the package that is deployed: .cache/package.zip, and a proof that it starts (VIEWER=0)
	@scripts/package

conformance-statement: setup ## docs/conformance-statement.md from the product and the rules that tests show
	.venv/bin/python -m tests.conformance_statement > .cache/conformance-statement.md
	mv .cache/conformance-statement.md docs/conformance-statement.md

lock: setup ## resolve pyproject.toml into the pinned requirement files
	@scripts/lock

clean: ## remove what set-up made; data in DATA_DIR stays
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache
