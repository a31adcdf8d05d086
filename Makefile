# EVS: every command a developer needs. `make` alone lists them.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# How long each fuzz target runs, and where a hung test package is cut off.
FUZZTIME     ?= 20s
TEST_TIMEOUT ?= 20m

# How many packages are tested at a time: most wait for packets, not for a processor.
TESTS_BESIDE ?= $(shell echo $$(($$(nproc) + 1)))

# Packages whose tests take long, which begin first; and those that measure or look at
# the whole machine, which have it to themselves.
TESTS_LONG  := packet e2e matrix local connections model
TESTS_ALONE := ./bench/... ./test/packages ./test/routes ./test/upgrades

# How many packets `mutate` changes for each door.
MUTANTS ?= 10000000

# How many SYNs `flood` sends, and how many connections `drift` makes.
FLOOD ?= 5000000
DRIFT ?= 2000000

# How often `upgrades` replaces the data path and edits the table, and how many packets
# a second pass meanwhile: as many as the machine takes without a loss of its own.
UPGRADES ?= 100
EDITS    ?= 1000
RATE     ?= 200000

# How many reloads the director makes in `reloads`.
RELOADS ?= 1000

# 2.45 is the last whose parts all come from the public Go module proxy.
NFPM := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0

GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# No C compiler is needed to build EVS, nor to run what was built.
export CGO_ENABLED := 0

.DEFAULT_GOAL := help
.PHONY: help deps deps-generate build generate check-generated lint test test-kernels bench demo model mutate agent drift flood upgrades fuzz man packages clean root

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what the tests and the demo need and the machine lacks (Debian)
	@scripts/deps.sh run

deps-generate: ## install the compiler that `generate` needs (Debian)
	@scripts/deps.sh generate

build: ## build bin/evs, and ipvsadm, ipvsadm-save, ipvsadm-restore beside it
	@$(GO) build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o bin/evs ./cmd/evs
	@for name in ipvsadm ipvsadm-save ipvsadm-restore; do ln -sfn evs "bin/$$name"; done
	@echo "built bin/evs $(VERSION)"

generate: deps-generate ## compile the eBPF programs in bpf/ into internal/datapath
	BPF2GO_CC=clang-19 BPF2GO_STRIP=llvm-strip-19 $(GO) generate ./...

check-generated: deps-generate ## compile them again and fail if anything changes
	@scripts/check-generated.sh

lint: ## format, vet, static analysis, style; the shell scripts too
	@scripts/lint.sh $(GOLANGCI_LINT)

test: root deps deps-generate build ## run every test (root)
	@start=$$SECONDS; \
	alone=$$($(GO) list $(TESTS_ALONE)); \
	long=$$($(GO) list $(TESTS_LONG:%=./test/%)); \
	others=$$($(GO) list ./... | grep -vxF -e "$$alone" -e "$$long"); \
	failed=; \
	$(GO) test -count=1 -p $(TESTS_BESIDE) -timeout $(TEST_TIMEOUT) $$long $$others || failed=yes; \
	$(GO) test -count=1 -p 1 -timeout $(TEST_TIMEOUT) $$alone || failed=yes; \
	[ -z "$$failed" ] || { echo "make test: FAILED, see above"; exit 1; }; \
	echo "all tests passed in $$((SECONDS - start)) s"

test-kernels: build ## every method on Linux 6.1, the oldest EVS runs on, and on 6.12, emulated (Debian)
	@scripts/deps.sh kernels
	@$(GO) test -c -o bin/datapath.test ./internal/datapath
	@scripts/kernels.sh bin/evs bin/datapath.test

bench: root deps build ## measure everything, check the bars, write bench/out/report.md (root)
	@scripts/deps.sh bench
	$(GO) run ./bench -check

demo: root deps build ## show a load balancer at work, from nothing, in two minutes (root)
	@scripts/demo.sh

mutate: root ## run 10 million mutated packets through both doors (root); MUTANTS=N for others
	EVS_MUTANTS=$(MUTANTS) $(GO) test -count=1 -timeout 2h -v -run TestMutatedPackets ./test/packet

agent: root deps ## weights follow agents: a server with half the processor gets half the work, and p99 falls (root)
	EVS_AGENT=1 $(GO) test -count=1 -v -run TestAServerWithHalfTheProcessor ./test/director

drift: root ## two million connections and edits meanwhile, and no count drifts (root); DRIFT=N for others
	EVS_DRIFT=$(DRIFT) $(GO) test -count=1 -timeout 2h -v -run TestCountsNeverDrift ./test/packet

flood: root ## five million spoofed SYNs at each of four tables with clients (root); FLOOD=N for others
	EVS_FLOOD=$(FLOOD) $(GO) test -count=1 -timeout 2h -v -run TestAFloodLoses ./test/packet

reloads: root deps ## a thousand reloads of the director under 500 connections, a hundred kills (root); RELOADS=N for others
	EVS_RELOADS=$(RELOADS) $(GO) test -count=1 -timeout 1h -v -run TestReloadsAndSIGKILL ./test/director

model: root deps ## compare the data path with the model over a million random steps (root)
	EVS_MODEL_STEPS=1000000 $(GO) test -count=1 -timeout 2h -v ./test/model

upgrades: root ## 100 upgrades and 1,000 edits under traffic, and nothing is lost (root); UPGRADES, EDITS, RATE=N for others
	EVS_UPGRADES=$(UPGRADES) EVS_EDITS=$(EDITS) EVS_KILLS=20 EVS_LONG=200 EVS_RATE=$(RATE) $(GO) test -count=1 -timeout 2h -v ./test/upgrades

fuzz: ## run each fuzz target for FUZZTIME (20s)
	@scripts/fuzz.sh $(FUZZTIME)

man: ## write the manual pages into dist/man
	@scripts/man.sh dist/man $(VERSION) && ls dist/man

packages: ## build the .deb and .rpm packages in dist/
	@scripts/packages.sh $(NFPM)

clean: ## remove what was built
	rm -rf bin dist bench/out

# The tests, the demo and the benchmarks make network namespaces and load
# eBPF programs.
root:
	@[ "$$(id -u)" = 0 ] || { echo "make: this needs root, to make network namespaces and load eBPF programs" >&2; exit 1; }
