# Bare `make` lists the targets.

GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS    = -X github.com/prometheus/common/version.Version=$(VERSION)
FUZZTIME  ?= 30s
KILLS     ?= 200
ROUNDS    ?= 2
OUTAGE    ?= 10s
ARGS      ?=
TESTFLAGS ?=

.PHONY: help run demo build test lint race crash fuzz ring ring-consul e2e interop ci bench bench-peers clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## start an ingester on port 8080, data in ./data; ARGS="-flag=..." for more
	exec bin/ingester $(ARGS)

demo: build ## one minute: load a million series, kill -9, restart, query
	bin/ingestbench demo $(ARGS)

build: ## build all commands into bin/
	@mkdir -p bin
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

test: lint ## vet, staticcheck, formatting, all tests; needs nothing but Go
	$(GO) test $(TESTFLAGS) ./...

lint: ## vet, staticcheck, gofumpt
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	@unformatted=$$($(GO) tool gofumpt -l .); \
	if [ -n "$$unformatted" ]; then echo "run '$(GO) tool gofumpt -w' on:"; echo "$$unformatted"; exit 1; fi

race: ## all tests under the race detector; arenas are on the Go heap there
	$(GO) test -race ./...

crash: ## KILLS SIGKILLs, 200 if not given, at chosen points under writers; what each start finds is compared
	REKINDLE_CRASH_KILLS=$(KILLS) $(GO) test -count=1 -timeout 1h -v -run '^TestCrash$$' ./engine

fuzz: ## each fuzz target for FUZZTIME, 30s if not given
	@list=$$($(GO) test -list '^Fuzz' ./...) || { echo "$$list"; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/{t[++n]=$$1} /^ok/{for(i=1;i<=n;i++) print $$2, t[i]; n=0}' | \
	while read -r pkg target; do \
		echo "$$target in $$pkg"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg </dev/null || exit 1; \
	done

ring: ## two ingesters in the ring of a real etcd (Debian: etcd-server): kills, an OUTAGE of etcd (10s if not given), equal tokens
	$(GO) test -count=1 -timeout 1h -tags interop -run '^TestRingInEtcd$$' ./cmd/ingester -args -outage=$(OUTAGE)

ring-consul: ## the same in a real Consul 1.14, which takes minutes to build and is therefore not in ci
	cd bench/interop/consul && $(GO) build -o ../../../bin/consul github.com/hashicorp/consul
	$(GO) test -count=1 -timeout 1h -tags interop -run '^TestRingInRealConsul$$' ./cmd/ingester -args -outage=$(OUTAGE) -consul=$(CURDIR)/bin/consul

e2e: build ## a real Prometheus and node_exporter: answers compared sample for sample, before and after kill -9
	cd bench/interop && $(GO) build -tags remove_all_sd -o ../../bin/prometheus github.com/prometheus/prometheus/cmd/prometheus
	cd bench/interop && $(GO) test ./answers && $(GO) build -o ../../bin/e2e ./e2e
	bin/e2e -ingester bin/ingester -prometheus bin/prometheus $(ARGS)

interop: build ## our ingesters in an unmodified Cortex 1.21.1: answers, kills, roll-outs, ROUNDS of each fault (2 if not given), its client
	cd bench/interop && $(GO) build -tags remove_all_sd -o ../../bin/prometheus github.com/prometheus/prometheus/cmd/prometheus
	cd bench/interop/cortex && $(GO) build -tags "netgo slicelabels" -o ../../../bin/cortex github.com/cortexproject/cortex/cmd/cortex
	cd bench/interop && $(GO) test ./answers ./cluster && $(GO) build -o ../../bin/cluster ./cluster
	bin/cluster -ingester bin/ingester -cortex bin/cortex -prometheus bin/prometheus -rounds $(ROUNDS) $(ARGS)
	cd bench/interop/cortex && $(GO) test -count=1 -tags "netgo slicelabels" . -args -ingester $(CURDIR)/bin/ingester

bench: build ## the table of the README: our engine beside Prometheus's on the same input
	bin/ingestbench $(ARGS)

bench-peers: build ## the same stream to Rekindle, Prometheus and Cortex as servers; the report goes to bench/results
	cd bench/interop && $(GO) build -tags remove_all_sd -o ../../bin/prometheus github.com/prometheus/prometheus/cmd/prometheus
	cd bench/interop/cortex && $(GO) build -tags "netgo slicelabels" -o ../../../bin/cortex github.com/cortexproject/cortex/cmd/cortex
	bin/ingestbench peers -out bench/results/$$(date -u +%F)-peers $(ARGS)

ci: test ## what .ci/run calls: test, race, darwin, each benchmark once, short fuzz, ring, e2e, interop
	GOOS=darwin $(GO) vet ./...
	$(MAKE) race
	$(GO) test -run '^$$' -bench . -benchtime 1x ./...
	# A number of runs, no time: when that is up, Go before 1.27 may call a worker that is busy a failure (golang.org/issue/75804).
	$(MAKE) fuzz FUZZTIME=4000x
	$(MAKE) ring
	$(MAKE) e2e
	$(MAKE) interop ROUNDS=1
	bin/ingestbench -series 2000 -scrapes 5
	bin/ingestbench demo -series 2000 -scrapes 5

clean: ## remove what was built
	rm -rf bin
