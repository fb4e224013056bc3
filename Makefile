# Every task of the house. `make` or `make help` lists them.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
BIN         := bin/ensemble
TOOLS       := go tool -modfile=tools/go.mod
FUZZTIME    ?= 5s
ifndef SEED
SEED        := $(shell date +%s)
endif
DEMO        ?= --demo

.PHONY: help
help: ## list the tasks
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: run
run: build ## build, start everything with the demonstration, print the addresses and three things to try
	$(BIN) up $(DEMO)

.PHONY: build
build: ## build bin/ensemble
	CGO_ENABLED=0 go build -trimpath -o $(BIN) ./cmd/ensemble

.PHONY: test
test: ## run the tests with the race detector, 20 rounds of kill -9 among them
	go test -race -shuffle=on -timeout 20m ./...
	go test -timeout 5m ./graph # without the race detector: everybody of the real networks
	go test -run Allocate ./api # without it, too: its pools forget on purpose

.PHONY: test-kill
test-kill: ## run only the rounds of kill -9 (ROUNDS=100)
	ENSEMBLE_KILL_ROUNDS=$(or $(ROUNDS),100) go test -count=1 -timeout 60m -run 'TestKillMinusNine$$' -v ./cmd/ensemble

.PHONY: test-graphs
test-graphs: ## load the three real networks through the gateway and check the answers
	ENSEMBLE_GRAPHS=all go test -count=1 -timeout 20m -run TestRealNetworksThroughTheGateway -v ./cmd/ensemble

# Packages whose tests ask where the real servers are. Those of cmd/ensemble are long and
# have tasks of their own.
SERVED = go list -f '{{.ImportPath}} {{join .TestImports " "}} {{join .XTestImports " "}}' ./... | \
	sed -nE '/^[^ ]*\/cmd\//d; s/^([^ ]+) .*internal\/servertest( .*)?$$/\1/p'

.PHONY: test-backends
test-backends: ## start Postgres, Kafka and Neo4j, run the tests that need them, leave them running
	cd tools && ENSEMBLE_REQUIRE=pg,kafka,neo4j go test -count=1 -timeout 10m ./backends
	scripts/backends up
	eval "$$(scripts/backends env)" && ENSEMBLE_REQUIRE=pg,kafka,neo4j \
		go test -race -count=1 -shuffle=on -timeout 10m $$($(SERVED))
	eval "$$(scripts/backends env)" && ENSEMBLE_REQUIRE=pg,kafka,neo4j go test -count=1 -timeout 5m -run 'Neo4j' ./cmd/ensemble

.PHONY: test-eureka
test-eureka: ## have real clients of Eureka (Go, Node, Prometheus) use the registry; downloads them
	npm ci --prefix discovery/eureka/testdata/clients/js --no-audit --no-fund
	ENSEMBLE_REQUIRE=eureka-clients go test -count=1 -timeout 10m -run 'TestFargo|TestNode|TestPrometheus' ./discovery/eureka
.PHONY: test-split
test-split: ## run the services apart, on files and on the servers of 'scripts/backends up' (ROUNDS=40, SHORT=1: no networks)
	eval "$$(scripts/backends env)" && ENSEMBLE_REQUIRE=pg,kafka,neo4j \
		ENSEMBLE_SPLIT=$(if $(SHORT),,1) ENSEMBLE_SPLIT_ROUNDS=$(or $(ROUNDS),40) go test -count=1 -timeout 60m \
		-run 'RunApart|TestKillingEachServiceInTurn|TestTheGraphMayBeInNeo4j' -v ./cmd/ensemble

.PHONY: lint
lint: ## check the layers, the style and the formatting
	$(TOOLS) golangci-lint run ./...
	test -z "$$($(TOOLS) gofumpt -l .)"

.PHONY: fmt
fmt: ## format the code
	$(TOOLS) golangci-lint fmt ./...

.PHONY: layers
layers: ## plant a violation of each layer rule and see it caught, and test the other tools
	cd tools && go test -count=1 ./...

.PHONY: shape
shape: ## measure the shape of the code against its gates
	cd tools && go run ./shape ..

.PHONY: fuzz
fuzz: ## fuzz each decoder and the HTTP front, two at a time (FUZZTIME=5s each)
	cd tools && go run ./fuzz -time $(FUZZTIME) ..

.PHONY: bench
bench: ## measure the log, the graph and the API, each with its baseline in the same run
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: cross
cross: ## build for every platform
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "$$os/$$arch"; CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -o /dev/null ./cmd/ensemble; \
	done; done

.PHONY: tidy
tidy: ## check that go.mod lists what is needed and nothing else
	go mod tidy -diff
	go mod verify

.PHONY: soak
soak: ## the long tests: 2,000 rounds of kill -9, 20,000 interleavings, a minute of fuzzing each (SEED=…)
	@echo "commit $$(git rev-parse --short HEAD), seed $(SEED)"
	ENSEMBLE_SOAK=1 ENSEMBLE_GRAPHS=all ENSEMBLE_KILL_ROUNDS=2000 ENSEMBLE_KILL_SEED=$(SEED) go test -count=1 -timeout 85m ./...
	$(MAKE) fuzz FUZZTIME=60s
	scripts/backends up
	ENSEMBLE_GRAPHS=all $(MAKE) test-split ROUNDS=200

.PHONY: clean
clean: ## remove what was built, not the data
	rm -rf bin
