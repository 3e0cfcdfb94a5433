# Entry points. `make` alone lists them; CONTRIBUTING.md says when to run which.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

NAME ?=
KEYS ?=
BUILDROOT ?=
BENCH_DATA ?= /var/tmp/keepwell-bench

export CARGO_TERM_COLOR ?= auto
export PYTHONDONTWRITEBYTECODE := 1

stage = tests/stage
programs = cli keyd diskd vaultd authd ingestd notifyd replicad recoverd consoled tty
# What scenarios need beside them.
testers = hostile-box
# What `make test` runs of tests/scenarios and qemu/scenarios: the longest ones first, so that two lanes end together.
scenarios = \
  boot roundtrip pages console-attacks kills box-kills box-state server-dies first-day hostile-server disk-life box-slow \
  bad-line restore-by-hand fire blank-box box-people restore-resumes box-disks roles downtime text-console nfs-exact smb-exact \
  box-commands passkeys lying-peer root-attacker damage new-box own-disk-full first-pool alerts open-files notices tpm-seal box-year kit

.PHONY: help setup build man demo test test-long check bench scenario fuzz clean image qemu-test

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup:  ## install what the build and the tests need (Debian; root or sudo, only if something is missing)
	@tests/setup build test demo image qemu

build:  ## the programs: target/release/keepwell and keepwell-{vaultd,consoled,tty,ingestd,authd,notifyd,replicad,recoverd,keyd,diskd,smart}
	cargo build --release --locked $(patsubst %,--package keepwell-%,$(programs) $(testers))

man: build  ## the pages of the manual, in target/man; keepwell completions makes what shells want
	@target/release/keepwell man --to target/man

demo:  ## a whole box as real processes, and the servers that it backs up
	@tests/setup build demo
	@tests/demo.sh

check:  ## quick checks: tidy, format, lints, unit tests
	@$(stage) tidy    cargo xtask tidy
	@$(stage) buildroot buildroot-external/check
	@$(stage) format  cargo fmt --all --check
	@$(stage) lints   cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
	@$(stage) unit    cargo test --quiet --workspace --locked

test: setup  ## everything that has to pass before a change goes in
	@$(stage) tidy       cargo xtask tidy
	@$(stage) buildroot  buildroot-external/check
	@$(stage) format     cargo fmt --all --check
	@$(stage) lints      cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
	@$(stage) build      $(MAKE) --no-print-directory build
	@$(stage) compile    cargo test --quiet --workspace --locked --no-run
	@$(stage) unit       tests/unit
	@$(stage) simulator  tests/simulator
	@$(stage) mutants    tests/mutants
	@$(stage) fuzz       tests/fuzz.sh replay
	@$(stage) image      $(MAKE) --no-print-directory image
	@$(stage) scenarios  tests/lanes $(scenarios)
	@$(stage) total

test-long: test  ## the same, then at full size: all of /usr, whole data sets, more seeds, more kills
	@$(stage) simulator  env KEEPWELL_SEEDS=3000 tests/simulator
	@$(stage) fuzz       tests/fuzz.sh long
	@$(stage) roundtrip  env SIZE=full tests/scenario roundtrip
	@$(stage) kills      env SIZE=full tests/scenario kills
	@$(stage) smb-exact  env SIZE=full tests/scenario smb-exact
	@$(stage) nfs-exact  env SIZE=full tests/scenario nfs-exact
	@$(stage) many-files env SIZE=full tests/scenario many-files
	@$(stage) box-kills  env SIZE=full tests/scenario box-kills
	@$(stage) box-year   env SIZE=full tests/scenario box-year

scenario: setup build $(if $(wildcard qemu/scenarios/$(NAME).py),image)  ## one of tests/scenarios or qemu/scenarios: make scenario NAME=damage
	@tests/scenario $(NAME)

fuzz:  ## replay the fuzz corpus
	@tests/fuzz.sh replay

image: build  ## the disk image, in target/image (root only; docs/image.md). KEYS=DIR signs with keys from there, RELEASE=1 compresses as far as it goes, BUILDROOT=DIR takes Buildroot's root
	@tests/setup image
	@$(if $(BUILDROOT),buildroot-external/scripts/build $(BUILDROOT),image/debian/root target/image/root && image/build target/image/root target/image $(KEYS:%=KEYS=%))

qemu-test:  ## the image in virtual machines (qemu/scenarios, after make image): make qemu-test [NAME=boot]
	@tests/setup qemu
	@qemu/run $(NAME)

bench: build  ## against restic and borg, on generated data in BENCH_DATA (outside the checkout)
	@tests/setup build bench
	@BENCH_DATA=$(BENCH_DATA) tests/bench/run.sh

clean:  ## remove what was built and the demo
	cargo clean
	rm -rf .demo
