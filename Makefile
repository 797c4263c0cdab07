# The commands of the README. `make demo` shows vzpkg working, `make check` is what CI runs, `make bench` measures.

SUDO    := $(if $(filter 0,$(shell id -u)),,sudo)
TOOLS   := target/tools
VZPKG   := target/release/vzpkg
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)

# What building needs; what running containers needs; what the tests and benchmarks compare with.
BUILD_PACKAGES := gcc g++ libc6-dev make pkg-config libssl-dev
RUN_PACKAGES   := runc
TEST_PACKAGES  := procps busybox-static erofs-utils dpkg-dev apt-utils fakeroot gnupg perl rpm dnf python3-solv systemd createrepo-c mmdebstrap strace attr libcap2-bin util-linux-extra xz-utils zstd python3-venv nginx-light xfsprogs
BENCH_PACKAGES := hyperfine time apt-mirror debmirror wget

.PHONY: all demo check bench bench-mirror bench-containers fuzz torture setup-build setup-check tools fmt lint test test-fixtures test-privileged test-network doc deny typos fuzz-smoke install

all: $(VZPKG)

.PHONY: $(VZPKG)
$(VZPKG): setup-build
	cargo build --release --locked -p vzpkg

## demo: install what is missing, build, then the whole chain on the Debian mirror this host is configured for
demo: $(VZPKG)
	@tests/scripts/demo.sh $(VZPKG)

## check: install what the tests need and run all of them
check: setup-check tools fmt lint test test-fixtures test-privileged test-network doc deny typos fuzz-smoke
	@echo "check: everything passed"

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings

test:
	cargo test --workspace --locked --quiet

# Tests that mount, make namespaces or run containers. They are ignored without root, so they are named here.
test-privileged:
	cargo test --workspace --locked --quiet --no-run
	$(SUDO) env "PATH=$(PATH)" "HOME=$(HOME)" CARGO_HOME="$${CARGO_HOME:-$(HOME)/.cargo}" RUSTUP_HOME="$${RUSTUP_HOME:-$(HOME)/.rustup}" \
		cargo test --workspace --locked --quiet -- --ignored privileged_ --test-threads=2

# Tests on real, signed packages and metadata of CentOS: ../shared/fixtures, or what VZPKG_FIXTURES names.
test-fixtures:
	cargo test --workspace --locked --quiet -- --ignored fixtures_

# Tests on the real Debian mirror of this host. Without a network they are not run, and that is said.
test-network:
	@if tests/scripts/mirror-reachable.sh; then \
		$(SUDO) env "PATH=$(PATH)" "HOME=$(HOME)" CARGO_HOME="$${CARGO_HOME:-$(HOME)/.cargo}" RUSTUP_HOME="$${RUSTUP_HOME:-$(HOME)/.rustup}" \
			cargo test --workspace --locked --quiet -- --ignored network_ --test-threads=1; \
	else echo "check: NOT RUN: the network_ tests; the Debian mirror of this host cannot be reached"; fi

## torture: every call that changes a file system fails, and kills, once; then kills at random instants. Hours.
torture: setup-check
	cargo test --workspace --locked --quiet --no-run
	$(SUDO) env "PATH=$(PATH)" "HOME=$(HOME)" CARGO_HOME="$${CARGO_HOME:-$(HOME)/.cargo}" RUSTUP_HOME="$${RUSTUP_HOME:-$(HOME)/.rustup}" \
		VZPKG_TORTURE=$${VZPKG_TORTURE:-all} VZPKG_KILLS=$${VZPKG_KILLS:-5000} \
		cargo test --workspace --locked --test cli -- --ignored --nocapture --test-threads=2 privileged_torture_

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

deny: tools
	cargo-deny check bans licenses sources

typos: tools
	typos

bench: $(VZPKG) setup-check
	@tests/scripts/install-missing.sh $(BENCH_PACKAGES)
	tests/scripts/bench.sh $(VZPKG)

## bench-mirror: mirrors alone
bench-mirror: $(VZPKG) setup-check
	@tests/scripts/install-missing.sh $(BENCH_PACKAGES)
	tests/scripts/bench-mirror.sh $(VZPKG)

## bench-containers: a thousand containers alone; CONTAINERS=N for another number
bench-containers: $(VZPKG) setup-check
	@tests/scripts/install-missing.sh $(BENCH_PACKAGES)
	$(SUDO) env VZPKG=$(CURDIR)/$(VZPKG) tests/scripts/bench-containers.sh

setup-build:
	@tests/scripts/install-missing.sh $(BUILD_PACKAGES) $(RUN_PACKAGES)

setup-check:
	@tests/scripts/install-missing.sh $(BUILD_PACKAGES) $(RUN_PACKAGES) $(TEST_PACKAGES)

tools: $(TOOLS)/bin/typos $(TOOLS)/bin/cargo-deny

$(TOOLS)/bin/typos:
	python3 -m venv $(TOOLS)/venv
	$(TOOLS)/venv/bin/pip install --quiet --retries 5 typos==1.52.0
	mkdir -p $(TOOLS)/bin && ln -sf ../venv/bin/typos $@

$(TOOLS)/bin/cargo-deny:
	CARGO_NET_RETRY=5 cargo install --quiet --locked --root $(TOOLS) cargo-deny@0.20.2

## install: the command and its manual pages
install: $(VZPKG)
	$(SUDO) install -m 0755 $(VZPKG) /usr/local/bin/vzpkg

# Stable Rust and a C++ compiler are enough (metadata/fuzz/README.md). `--target` keeps the flags away from build scripts.
FUZZ_SECONDS ?= 600
FUZZ_OPTIONS ?= -timeout=10
FUZZ_HOST = $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_FLAGS = --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares

## fuzz: every parser for FUZZ_SECONDS (600); what is found stays in target/fuzz/grown
fuzz:
	RUSTFLAGS="$(FUZZ_FLAGS)" cargo build --release --locked --quiet --manifest-path metadata/fuzz/Cargo.toml \
		--target $(FUZZ_HOST) --target-dir target/fuzz
	@for corpus in metadata/fuzz/corpus/*; do \
		name=$${corpus##*/}; echo "fuzz: $$name"; mkdir -p target/fuzz/grown/$$name; \
		target/fuzz/$(FUZZ_HOST)/release/$$name -max_total_time=$(FUZZ_SECONDS) $(FUZZ_OPTIONS) -rss_limit_mb=2048 \
			-artifact_prefix=target/fuzz/ target/fuzz/grown/$$name $$corpus >target/fuzz/$$name.log 2>&1 \
			|| { tail -40 target/fuzz/$$name.log; exit 1; }; \
	done

# No search: the same start each time, and patience on a machine that does much else.
fuzz-smoke:
	$(MAKE) fuzz FUZZ_SECONDS=5 FUZZ_OPTIONS="-seed=1 -timeout=60"
