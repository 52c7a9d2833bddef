# The targets of this repository. `make help` lists them.

# The registry of the images. Nobody can pull from localhost: the images of a checkout are loaded onto nodes, or pushed to
# a registry that IMG or REGISTRY names. A release has a registry of its own, unless REGISTRY is set.
REGISTRY ?= $(if $(filter release,$(MAKECMDGOALS)),ghcr.io/arcane-streaming,localhost)
# The operator's image, everywhere: built, loaded, deployed under this name.
IMG ?= $(REGISTRY)/arcane-operator:dev
# The folder of config/ that is deployed: default, with-cert-manager, with-prometheus, everything, namespaced.
CONFIG ?= default
export CONFIG
# The plugin's image is named by the registry and tag of IMG. That of the tests' plugin goes nowhere, so it keeps its name.
POSTGRES_IMG ?= $(filter-out ./,$(dir $(IMG)))arcane-plugin-postgres:$(lastword $(subst :, ,$(notdir $(IMG))))
SCRIPTED_IMG := localhost/arcane-plugin-scripted:dev

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
# Static, without paths of this machine, and the same from a checkout as from the Dockerfile, which has no .git.
GOBUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)"
# The folder of the binaries. A release has one for each platform.
BIN ?= bin
# Kubernetes' packages take longer to build than go test's ten minutes on a cold machine.
GOTEST  := go test -timeout 45m $(GOTESTFLAGS)
# kubectl of the user's own, else the one that the testbed has built.
KUBECTL ?= $(or $(shell command -v kubectl 2>/dev/null),$(lastword $(wildcard $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/arcane/kube-*/kubectl)),kubectl)

SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help
.PHONY: FORCE
FORCE:

.PHONY: help
help: ## Say what there is
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nIMG names the operator'"'"'s image (now %s), CONFIG the folder of config/ to deploy (now %s).\n' '$(IMG)' '$(CONFIG)'

##@ See it work
.PHONY: demo
demo: setup-node demo-check image ## A PostgreSQL table through backfill and streaming, on real Kubernetes on this machine
	go run ./test/demo up

# Check the prerequisites before minutes of building.
.PHONY: demo-check
demo-check:
	go run ./test/demo check

.PHONY: demo-down
demo-down: ## Remove all that the demo set up
	go run ./test/demo down

##@ Prove it
# -count=1 where a module's tests read files outside of it, such as config/: go test's cache of results knows nothing of them.
.PHONY: test
test: ## Unit tests, proofs, integration over a real API server and Job controller, the plugins' tests
	go run ./test/setup postgres prometheus
	go run ./test/cluster build
	$(GOTEST) $$(go list ./... | grep -v -e '/test/e2e' -e '/test/model')
	$(GOTEST) -v ./test/model | grep -v -e 'OK, passed' -e '=== NAME'
	cd plugins/postgres && $(GOTEST) ./...
	cd tools/gen && $(GOTEST) ./...
	cd test/accepts && $(GOTEST) -count=1 ./...
	cd test/monitors && $(GOTEST) -count=1 ./...
	cd test/dashboards && $(GOTEST) -count=1 ./...
	cd test/gitops && $(GOTEST) -count=1 ./...

.PHONY: mutants
mutants: ## Twenty known bugs switched in, and each rule of admission switched off, one at a time: a test must notice each
	go run ./test/mutants
	go run ./test/mutants -rules

# The fuzz targets, as package:target.
FUZZ := $(addprefix internal/validation:,FuzzStream FuzzTemplate FuzzRequest FuzzClass) internal/definition:FuzzFromStream internal/definition:FuzzSameText internal/jobspec:FuzzName
FUZZTIME ?= 60s

.PHONY: fuzz
fuzz: ## Whatever bytes at admission, and what follows from an acceptance; FUZZTIME (60s) for each target
	set -e; $(foreach f,$(FUZZ),go test ./$(firstword $(subst :, ,$(f))) -run '^$$' -fuzz '^$(lastword $(subst :, ,$(f)))$$' -fuzztime $(FUZZTIME) -fuzzminimizetime 50x;)

.PHONY: e2e
e2e: setup-node image ## Stories over a real node with real pods
	go run ./test/cluster build
	$(GOTEST) -count=1 ./test/e2e/... -ginkgo.label-filter='!olm'

.PHONY: olm-e2e
olm-e2e: setup-node image ## Install, upgrade and uninstall by OLM on a real node, while streams run; the first time builds OLM (ten minutes)
	go run ./test/cluster build
	$(GOTEST) -count=1 -v ./test/e2e/installs -ginkgo.label-filter=olm

.PHONY: scorecard
scorecard: ## operator-sdk's six built-in tests over the bundle
	tools/scorecard

.PHONY: prove
prove: ## The long proofs, whole, with their tables: every step of every scenario, where make test takes a sample
	go run ./test/cluster build
	cd test/faults && $(GOTEST) -count=1 -args -all
	ARCANE_TEST_QUIET=1m $(GOTEST) -count=1 ./test/integration '-ginkgo.focus=The operator at rest'
	$(GOTEST) -count=1 -v ./test/model -model.steps=10000000 -model.processors=$$(nproc) | grep -v -e 'OK, passed' -e '=== NAME'

.PHONY: verify
verify: ## Regenerate, tidy, vet and lint everything, build all manifests; fails when git then shows a difference
	tools/verify

.PHONY: fresh
fresh: ## Demo and test, each alone in an empty Debian root of its own, cold and warm: an hour and more, by hand
	tools/fresh

.PHONY: lint
lint: ## The linter alone, over every module
	tools/lint-all

##@ Make it
.PHONY: setup
setup: ## Install the Debian packages that demo and tests need; each target installs its own, so nobody has to call this
	go run ./test/setup

# Targets that share a set-up name it first, so that a refusal comes before minutes of building.
.PHONY: setup-node
setup-node:
	go run ./test/setup node postgres

.PHONY: fmt
fmt: ## Format all Go code
	tools/lint-all fmt

.PHONY: generate
generate: ## Write all generated files: deepcopy, CRDs, roles, webhook configurations, tables, API reference, dashboards, charts, OLM bundle, health checks
	tools/generate

.PHONY: bundle
bundle: ## Write the OLM bundle (make generate does so too)
	tools/bundle

.PHONY: catalog
catalog: ## Write a file-based catalog that holds the bundle into dist/catalog
	tools/catalog dist/catalog bundle

.PHONY: build
build: $(BIN)/arcane-operator $(BIN)/plugin-postgres $(BIN)/plugin-scripted ## Static binaries into bin/

.PHONY: image
image: build ## Pack the binaries as image tars into bin/, without a container engine
	go run ./test/image --binary bin/arcane-operator --name $(IMG) --output bin/arcane-operator.tar
	go run ./test/image --binary bin/plugin-postgres --name $(POSTGRES_IMG) --output bin/plugin-postgres.tar
	go run ./test/image --binary bin/plugin-scripted --name $(SCRIPTED_IMG) --output bin/plugin-scripted.tar

.PHONY: install-yaml
install-yaml: ## The files of an install by YAML, of the image IMG: dist/crds.yaml, namespace.yaml, install.yaml
	$(if $(and $(filter file,$(origin IMG)),$(filter localhost/%,$(IMG))),$(error install-yaml needs IMG=REGISTRY/arcane-operator:TAG: nobody who applies the files can pull $(IMG)))
	tools/install-yaml $(IMG) dist

# A Prometheus that has watched a fleet, and a stream of it to show.
PROMETHEUS ?= http://localhost:9090
SINCE ?= 24h
STREAM ?=
.PHONY: pictures
pictures: ## The docs' pictures of the dashboards, from PROMETHEUS, of the last SINCE; STREAM=namespace/name
	cd test/dashboards && go run . -prometheus $(PROMETHEUS) -since $(SINCE) $(if $(END),-end $(END)) -dashboard ../../config/grafana/fleet.json -out ../../docs/dashboards/fleet.png
	cd test/dashboards && go run . -prometheus $(PROMETHEUS) -since $(SINCE) $(if $(END),-end $(END)) -dashboard ../../config/grafana/stream.json -out ../../docs/dashboards/stream.png \
		$(if $(STREAM),-var namespace=$(firstword $(subst /, ,$(STREAM))) -var stream=$(lastword $(subst /, ,$(STREAM))))

# go build itself knows what is stale, hence FORCE.
$(BIN)/arcane-operator: FORCE
	$(GOBUILD) -o $@ ./cmd/arcane-operator

$(BIN)/plugin-postgres: FORCE
	cd plugins/postgres && $(GOBUILD) -o $(abspath $@) .

$(BIN)/plugin-scripted: FORCE
	$(GOBUILD) -o $@ ./test/scripted

##@ Release it
# What a release runs may not reach the network, nor change go.mod.
OFFLINE := GOPROXY=off GOFLAGS=-mod=readonly GOTOOLCHAIN=local

.PHONY: release-modules
release-modules: ## Download all Go modules that `make release` needs; it needs no network after that
	tools/release-modules

.PHONY: release
release: ## Everything that a release publishes, into dist/VERSION: make release VERSION=v0.9.0 [REGISTRY=…] [ALLOW_DIRTY=yes]
	$(OFFLINE) go run ./tools/release --version '$(VERSION)' --registry '$(REGISTRY)' $(if $(filter yes,$(ALLOW_DIRTY)),--allow-dirty)

.PHONY: release-test
release-test: ## The proofs of a release: whole ones twice, and binaries from two paths with empty build caches; by hand
	go test -timeout 3h -count=1 -v -tags release -run 'TestWhole' ./tools/release

##@ Put it on the cluster that kubectl points at
# Asked first, because apply and delete of many objects say it many times.
.PHONY: cluster-answers
cluster-answers:
	@$(KUBECTL) get --raw=/version --request-timeout=10s >/dev/null || { \
		echo "$(KUBECTL) reaches no cluster (context $$($(KUBECTL) config current-context 2>/dev/null || echo none)): set KUBECONFIG, or another context." >&2; exit 1; }

# Server-side and forced: the fields are set to what config/ says, whoever applied them before.
APPLY = $(KUBECTL) apply --server-side --force-conflicts -f -

.PHONY: install
install: cluster-answers ## The kinds (CRDs) alone
	tools/run gen kustomize build config/crd | $(APPLY)

.PHONY: uninstall
uninstall: cluster-answers ## Remove the kinds; refuses while there are objects of them, as these go with their kind (CONFIRM=yes)
	@CONFIRM=$(CONFIRM) tools/uninstall-kinds $(KUBECTL)

.PHONY: deploy
deploy: install ## The kinds, the operator's namespace and the operator, from the image IMG
	tools/run gen kustomize build config/namespace | $(APPLY)
	tools/render $(IMG) | $(APPLY)

.PHONY: undeploy
undeploy: cluster-answers ## Remove the operator; kinds, namespace, streams and what they run stay
	tools/render $(IMG) | $(KUBECTL) delete --ignore-not-found -f -

# For scripts that need a variable's value: make -s print-IMG
print-%:
	@echo '$($*)'
