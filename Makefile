# `make` lists the targets. STACK=name selects another stack than local: `make up STACK=sandbox`.
# ARGS passes options on: `make up ARGS=--json`. Every program explains itself: `make up ARGS=--help`.
STACK ?= local
M ?= vm1
ARGS ?=
CASES ?= 1000000
export STACK

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

##@ The lab
.PHONY: up preview status verify ssh kubeconfig etcd down cache snapshot backup clone compact top provision-server
up: ## Everything: tools, hypervisor and object store where there is none, images, machines
	@scripts/run up --stack "$(STACK)" $(ARGS)

preview: ## What `make up` would change, with cache hits, misses and bytes; changes nothing
	@scripts/run preview --stack "$(STACK)" $(ARGS)

status: ## What runs, and how to reach it
	@scripts/run status --stack "$(STACK)" $(ARGS)

verify: ## Checks a machine: running, SSH, address, Docker, disk, network; says what to do
	@scripts/run verify --stack "$(STACK)" $(ARGS)

ssh: ## A shell on a machine: make ssh M=vm1
	@exports=$$(scripts/env "$(STACK)") && eval "$$exports" && config=$$GROUNDWORK_HOME/ssh/$(STACK)/config && \
	  { [ -e "$$config" ] || { echo 'Stack $(STACK) has no machines yet: make up STACK=$(STACK)' >&2; exit 1; }; } && \
	  exec ssh -F "$$config" "$(M)" $(ARGS)

kubeconfig: ## For kubectl: eval "$(make -s kubeconfig)"; ARGS=--merge adds it to ~/.kube/config
	@scripts/run kubeconfig --stack "$(STACK)" $(ARGS)

down: ## Destroys the stack and all that `make up` started; nothing is left behind
	@scripts/run down --stack "$(STACK)" $(ARGS)

etcd: ## Clusters' snapshots: make etcd ARGS="list", or save, restore
	@scripts/run etcd --stack "$(STACK)" $(ARGS)

cache: ## The hypervisors' image caches: make cache ARGS="list", or prewarm, verify, evict
	@scripts/run cache --stack "$(STACK)" $(ARGS)

snapshot: ## Machines' snapshots: make snapshot ARGS="create vm1 before", or list, revert, delete
	@scripts/run snapshot --stack "$(STACK)" $(ARGS)

backup: ## Machines' disks in the object store: make backup ARGS="create vm1", or list, prune, schedule
	@scripts/run backup --stack "$(STACK)" $(ARGS)

clone: ## Another machine with the content of one: make clone M=vm1 TO=vm2
	@scripts/run clone --stack "$(STACK)" "$(M)" "$(TO)" $(ARGS)

compact: ## A smaller image with the same content: make compact ARGS="debian --as debian-small"
	@scripts/run compact --stack "$(STACK)" $(ARGS)

top: ## What hypervisors and machines use: processors, memory, disks, networks, volume groups, caches
	@scripts/run top --stack "$(STACK)" $(ARGS)

provision-server: ## The HTTP API of libvirt-volume-provisioner, on this provider
	@scripts/run provision-server $(ARGS)

##@ Tools
.PHONY: setup env
setup: ## Installs or builds the tools; safe to repeat and to interrupt
	@scripts/setup

env: ## Prints what plain `npx pulumi` needs: eval "$$(make -s env)"
	@scripts/env "$(STACK)"

##@ Development
.PHONY: test unit component integration e2e k3s observability-e2e fuzz bench check format image-pins
test: ## All tests, with one line of totals at the end
	@scripts/run test $(ARGS)

k3s: ## All tests of clusters, on a stand-in for k3s; those under emulation are not part of `make test`
	@scripts/setup --k3s && scripts/run test $(ARGS) k3s

observability-e2e: ## The observability lab on a machine of its own, under emulation; not part of `make test`
	@scripts/setup --tests && scripts/run test $(ARGS) observability-e2e

unit component integration e2e: ## One kind of tests only
	@scripts/run test $(ARGS) $@

fuzz: ## A million cases for each parser of what others made; make fuzz CASES=10000000 for more
	@scripts/setup && GROUNDWORK_FUZZ_CASES="$(CASES)" npx mocha 'test/unit/**/fuzz.test.ts'

bench: ## Ratios against other methods and against what was promised
	@scripts/run bench $(ARGS)

check: ## Types, lint, formatting, shell scripts, unit and component tests
	@scripts/setup && npm run --silent check

image-pins: ## Digests of official container images anew by their tags; ARGS=--check only compares
	@scripts/setup --npm >&2 && node --import=tsx/esm scripts/image-pins.ts $(ARGS)

format: ## Formats every file
	@scripts/setup --npm && npm run --silent format

.PHONY: help
help:
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z0-9 -]*:.*## / { gsub(/\$$\$$/, "$$", $$2); printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nSTACK=%s, out of:%s\n' "$(STACK)" "$(patsubst Pulumi.%.yaml, %,$(wildcard Pulumi.*.yaml))"
