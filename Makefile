# make check and make test are all that CI runs. Tools are pinned in tools/go.mod and built from source through the Go module
# cache: once their modules are in it, everything but the database of govulncheck works offline. The first build of buf
# takes some minutes.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

TOOL := go tool -modfile=tools/go.mod
BUF := $(TOOL) buf
BASELINE := api/baseline.binpb
# The protos with their comments, for reflection.
DOCUMENTED := --as-file-descriptor-set --exclude-imports
VULNDB := https://vuln.go.dev

.PHONY: help
help: ## Say what there is to make.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the program as it is released: the same tree and the same Go give the same bytes, wherever it lies.
	$(RELEASED) go build $(RELEASE) -o teishi ./cmd/teishi

# The tree has to be clean for what is built of it to be told from its commit.
.PHONY: reproducible
reproducible: ## Build the commit twice, in other places and with nothing kept, and compare.
	@places=$$(mktemp -d) && trap 'chmod -R u+w "$$places"; rm -rf "$$places"' EXIT && \
	for place in one another/place; do \
		git clone -q . "$$places/$$place" && (cd "$$places/$$place" && \
		$(RELEASED) GOCACHE="$$places/cache" go build $(RELEASE) -o teishi ./cmd/teishi) && rm -rf "$$places/cache" || exit 1; \
	done && cd "$$places" && sha256sum one/teishi another/place/teishi && cmp one/teishi another/place/teishi

RELEASED := CGO_ENABLED=0 GOFLAGS= GOWORK=off
RELEASE := -trimpath -buildvcs=true

BILL := sbom.cdx.json

.PHONY: sbom
sbom: ## Write sbom.cdx.json: the modules that the program is built from, by CycloneDX.
	@CGO_ENABLED=0 $(TOOL) cyclonedx-gomod app -json -licenses -std -noserial -notimestamp -main cmd/teishi -output $(BILL) .

# The targets that there are, each with its directory.
TARGETS = grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z]*' . | sort | sed 's,^\(.*\)/[^/]*:func ,\1 ,'

.PHONY: fuzz
fuzz: ## Fuzz every decoder that meets bytes from outside, each for SPAN (10s).
	@$(TARGETS) | while read -r place target; do \
		echo "$$place $$target" && \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(or $(SPAN),10s) -fuzzminimizetime 100x "$$place" </dev/null || exit 1; \
	done

# Whatever imports SQLite takes minutes to be built for fuzzing: its decoders are fuzzed by make fuzz.
.PHONY: fuzz-briefly
fuzz-briefly: ## Fuzz the decoders of the record and of names for a moment.
	@$(TARGETS) | grep -E '^\./(policy|policystore) ' | while read -r place target; do \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime 200x -fuzzminimizetime 10x "$$place" </dev/null || exit 1; \
	done

.PHONY: check
check: format-check vet staticcheck proto-check fuzz-briefly vuln ## Check format, code, protos, that generated code is up to date, and fuzz for a moment.

.PHONY: test
test: needs ## Run every test with the race detector, against real servers on free ports.
	@beside=$$(mktemp) && trap 'rm -f "$$beside"' EXIT && export CGO_ENABLED=1 && \
	{ (cd k8s && go test -race -p 3 -timeout 9m ./...) >"$$beside" 2>&1 & k8s=$$!; } && \
	{ go test -race -p 3 -parallel 3 -timeout 9m ./...; ours=$$?; wait $$k8s; theirs=$$?; cat "$$beside"; exit $$((ours | theirs)); }

.PHONY: faults
faults: needs ## Run the fault suite three times over, and its mutation proofs; write docs/faults.md.
	go test -count=1 -v -timeout 60m ./faults -rounds 3 -proofs -watchers 10000 -write $(CURDIR)/docs/faults.md

.PHONY: cluster
cluster: needs ## Start PostgreSQL, Redis, two authorities and three decision points on loopback, until Ctrl-C.
	@go run ./examples/cluster

.PHONY: bench
bench: needs ## Run the benchmarks, then measure the program as it is run; docs/benchmarks.md says how to read them.
	go test -run '^$$' -bench . -benchmem ./policy/... ./policystore/... ./service/... ./client
	go run ./bench

.PHONY: soak
soak: ## Have watchers come and go for SPAN (10m), and see that the server keeps nothing of them.
	go run ./bench soak -span $(or $(SPAN),10m)

.PHONY: generate
generate: .deps/stamp ## Generate the Go code of the protos, beside them.
	$(BUF) generate
	$(BUF) build api $(DOCUMENTED) -o api/teishi/v1/documented.binpb

.PHONY: format
format: .deps/stamp ## Format Go code and protos.
	gofmt -w .
	$(BUF) format -w api

.PHONY: baseline
baseline: .deps/stamp ## Take the protos as they are for what later ones must not break.
	$(BUF) build api --exclude-source-info -o $(BASELINE)

.PHONY: format-check
format-check: .deps/stamp
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "run make format:"; echo "$$unformatted"; exit 1; fi
	$(BUF) format -d --exit-code api

.PHONY: vet
vet:
	go vet ./...
	go vet -tags faults ./policystore/... ./service/...
	cd k8s && go vet ./...

.PHONY: staticcheck
staticcheck:
	$(TOOL) staticcheck ./...
	cd k8s && go tool -modfile=../tools/go.mod staticcheck ./...

.PHONY: proto-check
proto-check: .deps/stamp
	$(BUF) lint api
	$(BUF) breaking api --against $(BASELINE)
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && $(BUF) generate -o "$$fresh" && \
	$(BUF) build api $(DOCUMENTED) -o "$$fresh/api/teishi/v1/documented.binpb" && \
	diff -r -q -x '*.proto' -x '*_test.go' -x documented.go -x '$(notdir $(BASELINE))' api "$$fresh/api" || \
	{ echo "generated code is stale: run make generate"; exit 1; }

# The database is the only thing here that has to be fetched each time.
.PHONY: vuln
vuln:
	@if curl -fsS -m 20 -o /dev/null $(VULNDB)/index/db.json; then $(TOOL) govulncheck ./...; \
	else echo "skipped: vulnerability database not reachable"; fi

# What tests run beside Go: a C compiler for the race detector, and the servers that Teishi is about. They are installed, where we
# may, such that no service of theirs is started.
PACKAGES = $(strip \
	$(if $(shell command -v "$$(go env CC)"),,gcc libc6-dev) \
	$(if $(shell command -v redis-server),,redis-server) \
	$(if $(shell PATH=$$PATH:/usr/sbin command -v pgbouncer),,pgbouncer) \
	$(if $(wildcard $(or $(shell pg_config --bindir 2>/dev/null),/none)/initdb /usr/lib/postgresql/*/bin/initdb),,postgresql) \
	$(if $(shell command -v openssl),,openssl) \
	$(if $(shell command -v strace),,strace))

.PHONY: needs
needs:
	@test -z "$(PACKAGES)" && exit 0; \
	echo "the tests need what is not there: $(PACKAGES)"; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(PACKAGES); \
	else \
		echo "install it, on Debian with: sudo apt-get install $(PACKAGES)"; exit 1; \
	fi

# What our protos import, copied out of the modules pinned in tools/go.mod.
.deps/stamp: tools/go.mod Makefile
	@cd tools && go mod download github.com/bufbuild/protovalidate github.com/gogo/googleapis
	@rm -rf .deps && mkdir -p .deps/protovalidate/buf/validate .deps/googleapis/google/rpc
	@cp "$$(cd tools && go list -m -f '{{.Dir}}' github.com/bufbuild/protovalidate)"/proto/protovalidate/buf/validate/validate.proto \
		.deps/protovalidate/buf/validate/
	@cp "$$(cd tools && go list -m -f '{{.Dir}}' github.com/gogo/googleapis)"/google/rpc/status.proto .deps/googleapis/google/rpc/
	@chmod -R u+w .deps && touch $@
