# Entry points for people; the work is in scripts/. `make` alone lists them.
# ARGS goes to the demo (make demo ARGS="--port 9000"), PROFILE chooses the cargo profile. The demo and
# the tests share the dev profile on purpose: whatever one has compiled, the other finds.

PROFILE ?= dev
ARGS ?=
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test faults fuzz build bench lint fmt

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## install what is missing on this machine (says what, and does nothing twice)
	@scripts/setup.sh

demo: setup ## run everything on this machine with recorded official figures; Ctrl-C stops it
	@exec cargo run --profile $(PROFILE) -p rettidig -- demo $(ARGS)

test: ## formatting, lints, Rust tests, then the tables read by other engines
	@scripts/test.sh

faults: setup ## the fault suite at length (RETTIDIG_SEEDS says how long; `make test` runs a little of it)
	@scripts/faults.sh

fuzz: ## arbitrary bytes for the readers, with libFuzzer (ARGS="60 feeds": seconds, targets; needs nightly Rust)
	@scripts/fuzz.sh $(ARGS)

build: setup ## compile the workspace (PROFILE=release for the binary to deploy)
	@exec cargo build --profile $(PROFILE) --workspace

bench: setup ## the benchmarks, in release mode (ARGS picks some of them)
	@scripts/bench.sh $(ARGS)

lint: setup ## formatting and lints only, changing nothing
	@scripts/lint.sh

fmt: setup ## format the Rust code
	@exec cargo fmt --all
