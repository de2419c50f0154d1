# zkllmc. `make` lists the targets. Everything but the sources comes through the go command; tools are pinned here.

GO ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PLATFORMS := linux/arm64 darwin/arm64 windows/amd64
# Packages that share data between goroutines.
RACE := ./runtime/backend/... ./runtime/group ./runtime/tensor ./runtime/witness ./runtime/verifier ./runtime/prover ./runtime/proverapp ./runtime/atomicfile

.PHONY: help demo test check generate bench clean format lint generated race cross clean-tree

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## compile a model, prove an answer, verify it, refuse a forged one
	@GO=$(GO) scripts/demo.sh

test: ## run all tests
	$(GO) test ./...

generate: ## compile the project's models anew into generated/
	$(GO) run . compile models/sums/model.onnx -o generated/sums --reveal argmax --tokenizer models/sums/vocab.json

bench: ## run all benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

check: format lint generated test race cross demo clean-tree ## everything that must hold before a change is submitted

clean: ## remove what make built
	rm -rf build

# The parts of check.

format:
	@files=$$(gofmt -l .); test -z "$$files" || { printf 'not formatted, run gofmt -w on\n%s\n' "$$files"; exit 1; }

lint:
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod verify

generated: generate
	@git diff --exit-code -- generated || { echo 'generated/ is not what the compiler writes: commit the difference'; exit 1; }

# The race detector is the one part that needs a C compiler.
race:
	@if command -v "$$($(GO) env CC)" >/dev/null; then \
		echo '$(GO) test -race $(RACE)'; CGO_ENABLED=1 $(GO) test -race $(RACE); \
	else echo 'race: skipped, there is no C compiler'; fi

cross:
	@for p in $(PLATFORMS); do \
		echo "CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./..."; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./... || exit 1; \
	done

clean-tree:
	@if [ "$${CI:-}" = true ] && [ -n "$$(git status --porcelain)" ]; then \
		echo 'the checks left changes behind:'; git status --porcelain; exit 1; \
	fi
