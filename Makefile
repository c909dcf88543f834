# What a developer types. `make` alone lists it.

GO ?= go
# Packages under test at one time. Several of them start clusters and measure time: on two cores, one after the other.
P ?= 1
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

.DEFAULT_GOAL := help
.PHONY: help deps build generate test bench robustness e2e-kubelet fuzz vet lint fmt kube examples clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what the tests call (Debian): gcc, systemd-analyze, Docker, Python
	@./tools/deps

build: ## bin/nightwatch, a static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/nightwatch ./cmd/nightwatch

# Each of these reads what the one before has written.
generate: ## what is made from types: the schema of batch/v1, the reference of fields, their JSON Schema
	$(GO) test ./jobrunner/kubernetes -run '^TestSchema$$' -update
	$(GO) test . -run '^TestReference$$' -update
	$(GO) test . -update

# The control plane is built first and by itself: that takes minutes the first time, and is no test's time. No result comes
# out of Go's cache: many tests run programs that they have go build, of which the cache knows nothing.
test: deps ## every test, with the race detector, on real etcd, Kubernetes, systemd and Docker
	$(GO) run ./test/kubeup -build-only
	$(GO) tool -modfile=tools/test/go.mod gotestsum --format pkgname --format-hide-empty-pkg -- \
		-race -count=1 -timeout 40m -p $(P) ./...

COUNT ?= 6
bench: ## benchmarks of the parts, COUNT times each, as benchstat reads them (docs/performance.md)
	$(GO) test -run '^$$' -bench . -benchmem -count $(COUNT) . ./schedule ./store ./scheduler

# FAULTS: names, with commas between them; default all. SEED: default random. DIR: default among the temporary ones.
DURATION ?= 6m
TTL ?= 2s
MEMBERS ?= 1
CHURN ?= 4
robustness: ## random faults to a running cluster: SEED, DURATION, FAULTS, TTL, MEMBERS, CHURN, DIR (docs/robustness.md)
	@mkdir -p bin && $(GO) build -o bin/robustness ./test/robustness/cmd
	@bin/robustness -duration $(DURATION) -lease-ttl $(TTL) -members $(MEMBERS) -churn $(CHURN) $(if $(SEED),-seed $(SEED)) $(if $(FAULTS),-faults $(FAULTS)) $(if $(DIR),-dir $(DIR))

# Not in CI: it wants root, and changes the machine's network while it runs.
e2e-kubelet: ## Jobs in real containers, by a kubelet: root, Debian
	apt-get install -y --no-install-recommends containerd runc containernetworking-plugins busybox-static iproute2
	$(GO) test -tags kubelet -count=1 -v -timeout 30m ./test/kubelet

FUZZTIME ?= 10m
fuzz: ## every fuzzer, one after the other, FUZZTIME each (docs/robustness.md)
	@set -e; grep -ro --include='*_test.go' '^func Fuzz[A-Za-z]*' . | sed 's|/[^/]*:func | |' | sort | while read -r dir name; do \
		echo "$$dir $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) "$$dir" </dev/null; \
	done

vet: ## go vet
	$(GO) vet ./...

lint: ## golangci-lint: .golangci.yml
	$(GO) tool -modfile=tools/lint/go.mod golangci-lint run

fmt: ## format as lint wants it
	$(GO) tool -modfile=tools/lint/go.mod golangci-lint fmt

kube: ## a Kubernetes control plane to try nightwatch with; stops on Ctrl-C
	$(GO) run ./test/kubeup

# Examples with a go.mod of their own are built as they stand.
examples: ## build every example
	$(GO) build -o /dev/null ./examples/...
	@set -e; for module in $$(find examples -name go.mod); do \
		echo "$(GO) -C $$(dirname $$module) build -o /dev/null ./..."; \
		$(GO) -C "$$(dirname $$module)" build -o /dev/null ./...; \
	done

clean: ## remove bin
	rm -rf bin
