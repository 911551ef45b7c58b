# Everything one can do here. `just` lists it; CI runs nothing else.

set shell := ["bash", "-euo", "pipefail", "-c"]
# Words keep their spaces: `just psql -c "select 1"`.
set positional-arguments

# The private servers of `cargo dev up`, unless the settings say otherwise.
postgres_url := env("HARKARA__POSTGRES__URL", "postgres://harkara@127.0.0.1:15432/harkara")
redis_url := env("HARKARA__REDIS__URL", "redis://127.0.0.1:16379")

# List what one can do here
[private]
default:
    @just --list --unsorted

# Build and start everything, deliver one example of each event (--detach, --fresh, --no-install)
[group('run')]
up *ARGUMENTS:
    cargo dev up "$@"

# Stop what `up` started
[group('run')]
down:
    cargo dev down

# Tell what is running
[group('run')]
status:
    cargo dev status

# Deliver signed examples: `just trigger payment.failed --count 100`
[group('run')]
trigger *ARGUMENTS:
    cargo run --quiet --package harkara-cli --bin harkara -- trigger "$@"

# Open psql on the database of `up`
[group('run')]
psql *ARGUMENTS:
    psql "{{ postgres_url }}" "$@"

# Open redis-cli on the Redis of `up`
[group('run')]
redis-cli *ARGUMENTS:
    redis-cli -u "{{ redis_url }}" "$@"

# Run every test against private servers; words for the runner go after `--`
[group('change')]
test *ARGUMENTS:
    cargo dev test "$@"

# Start private servers for tests and keep them, to run single tests from another terminal
[group('change')]
test-servers:
    cargo dev test --servers-only

# Break servers, links and processes under load and audit what became of it (--list, --short, --seed N)
[group('change')]
test-faults *ARGUMENTS:
    cargo dev faults "$@"

# Format the code
[group('change')]
fmt:
    cargo fmt --all

# Write the generated references in docs/ anew
[group('change')]
docs:
    cargo run --quiet --package harkara-cli --bin harkara -- reference events > docs/events.md
    cargo run --quiet --package harkara-cli --bin harkara -- reference configuration > docs/configuration.md
    cargo run --quiet --package harkara-cli --bin harkara -- reference settings-file > deploy/harkara.toml
    cargo run --quiet --package harkara-cli --bin harkara -- reference cli > docs/cli.md
    cargo run --quiet --package harkara-cli --bin harkara -- reference metrics > docs/metrics.md

# Measure every stage and the peer on private servers (Linux only; --quick, others with --help)
[group('measure')]
bench *ARGUMENTS:
    cargo dev bench all "$@"

# Measure the ingress
[group('measure')]
bench-ingress *ARGUMENTS:
    cargo dev bench ingress "$@"

# Measure the worker
[group('measure')]
bench-worker *ARGUMENTS:
    cargo dev bench worker "$@"

# Measure the time to start and the CPU time of idle processes
[group('measure')]
bench-footprint *ARGUMENTS:
    cargo dev bench footprint "$@"

# Measure the whole road at once
[group('measure')]
bench-e2e *ARGUMENTS:
    cargo dev bench e2e "$@"

# Measure Harkara beside Express or Fastify with BullMQ (needs Node.js)
[group('measure')]
bench-peer *ARGUMENTS:
    cargo dev bench peer "$@"

# Count the instructions of every operation and compare with the stored counts (needs valgrind; --accept)
[group('measure')]
bench-instructions *ARGUMENTS:
    cargo dev bench instructions "$@"

# Check format, lints and documentation
[group('check')]
check: check-format check-lints check-docs

# Check that the code is formatted
[group('check')]
check-format:
    cargo fmt --all --check

# Check with clippy; every warning is an error
[group('check')]
check-lints:
    cargo clippy --workspace --all-targets --locked -- --deny warnings

# Check that the documentation builds without a warning
[group('check')]
check-docs:
    RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --document-private-items --locked

# Fuzz what reads untrusted bytes, each target for so many seconds, or one (needs nightly Rust, cargo-fuzz)
[group('check')]
fuzz target="all" seconds="60":
    #!/usr/bin/env bash
    set -euo pipefail
    if ! cargo +nightly --version > /dev/null 2>&1; then
        echo 'fuzzing needs nightly Rust; run `rustup toolchain install nightly --profile minimal`' >&2
        exit 1
    fi
    if ! cargo +nightly fuzz --version > /dev/null 2>&1; then
        echo 'fuzzing needs cargo-fuzz; run `cargo install --locked cargo-fuzz`' >&2
        exit 1
    fi
    targets="$1"
    if [ "$targets" = all ]; then
        targets=$(cargo +nightly fuzz list)
    fi
    cargo run --quiet --package harkara-properties -- fuzz/corpus
    for target in $targets; do
        # Nothing here is unsafe, so there is nothing for a sanitizer to find.
        cargo +nightly fuzz run --sanitizer none "$target" -- -max_total_time="$2" -timeout=10 -print_final_stats=1
    done

# Check the dependencies' advisories, licences and sources (needs cargo-deny)
[group('check')]
audit:
    cargo deny --all-features check

# Check the workflows (needs actionlint and zizmor)
[group('check')]
lint-workflows:
    actionlint
    zizmor --persona pedantic .github

# Everything a change must pass, ending with the tests' summary
[group('check')]
ci: check test
