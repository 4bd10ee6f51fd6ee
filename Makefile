# Everything runs with the Node that package.json pins (npm package `node`); the machine's own only has to run npm.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install run test unit wire histories ok format build bench bench-peers clean kubernetes kubernetes-down test-kubernetes test-healing test-upgrade kind kind-down

machine_path := $(PATH)
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)

# Written when npm is done: an interrupted install starts again.
installed := node_modules/.installed

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(installed) ## install what package-lock.json says, when it is not there yet

# npm itself must not run on a Node inside node_modules: it replaces that directory.
$(installed): package-lock.json package.json
	@export PATH='$(machine_path)'; \
	command -v node >/dev/null || { echo 'make: Node is missing: install Node 20 or newer from https://nodejs.org' >&2; exit 1; }; \
	command -v npm >/dev/null || { echo 'make: npm is missing: install it, it comes with Node from https://nodejs.org' >&2; exit 1; }; \
	[ "$$(node -p 'process.versions.node.split(".")[0] >= 20')" = true ] || { echo "make: Node $$(node -v) is too old: install Node 20 or newer from https://nodejs.org" >&2; exit 1; }; \
	npm ci
	@touch $@

run: build ## start a broker in the foreground, its data in ./data; ARGS='--set …' is passed on
	@exec node dist/stele.mjs start --data ./data $(ARGS)

vitest := vitest run $(if $(VITEST_JSON),--reporter=default --reporter=json --outputFile.json='$(VITEST_JSON)')

test: install ## run all tests, also those with real clients, but not those on Kubernetes
	@$(vitest) --project 'unit*' --project 'wire*' --project clients $(ARGS)

unit: install ## run the unit tests
	@$(vitest) --project 'unit*' $(ARGS)

wire: install ## run the tests with real clients against a real broker
	@$(vitest) --project 'wire*' --project clients $(ARGS)

HISTORIES ?= 1000
STELE_SEED ?= 1

histories: install ## live HISTORIES random histories of clusters in simulation, from STELE_SEED on: 1000 from 1 on, on all cores
	@node test/histories/main.ts --count='$(HISTORIES)' --seed='$(STELE_SEED)' $(if $(VITEST_JSON),--json='$(VITEST_JSON)')

rig := node test/kubernetes/rig/main.ts

kubernetes: install ## bring up a Kubernetes of three nodes on this machine, as root and without Docker, and print its KUBECONFIG
	@$(rig) up

kubernetes-down: install ## take it down without a trace
	@$(rig) down

test-kubernetes: install ## run the tests on the cluster of KUBECONFIG, or else on that of `make kubernetes`
	@$(vitest) --project kubernetes $(ARGS)

test-healing: install ## break that cluster under load from real clients, one thing after the other, and judge what they were told
	@$(vitest) --project healing $(ARGS)

test-upgrade: install ## roll three brokers from an earlier version to this one and back under load; needs the history, OLD=COMMIT names another one
	@$(if $(OLD),STELE_OLD='$(OLD)') $(vitest) --project upgrade $(ARGS)

kind: install ## bring up a cluster with kind where a Docker engine runs, and print its KUBECONFIG
	@$(rig) kind

kind-down: install ## take it down
	@$(rig) kind-down

ok: install ## format, lint, types, dead code and unit tests: what has to be fine before a commit
	@oxfmt --check
	@oxlint --type-aware --deny-warnings
	@tsc --noEmit
	@knip
	@$(vitest) --project 'unit*'

format: install ## format all files
	@oxfmt

build: install dist/stele.mjs ## make dist/, what the npm package holds

dist/stele.mjs: build.ts package.json $(shell find base protocol kube control broker operator cli -name '*.ts' ! -name '*.test.ts') | $(installed)
	@node build.ts >/dev/null

BENCH := main

bench: install ## measure a quick slice of everything; BENCH='produce fetch' measures those at length, ARGS is passed on
	@for one in $(BENCH); do node bench/$$one.ts $(ARGS) || exit 1; done

bench-peers: install ## measure Stele beside other logs, in hours; ARGS=--quick takes a minute or two, ARGS=--help tells more
	@node bench/peers/main.ts $(ARGS)

clean: ## remove what was built and installed; data stays
	rm -rf dist coverage .cache node_modules
