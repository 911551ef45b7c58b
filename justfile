# All development tasks. `just` lists them; CI runs nothing else.

set shell := ["bash", "-euo", "pipefail", "-c"]
# Keep spaces in arguments: `just psql -c "select 1"`.
set positional-arguments

# The private servers of `cargo dev up`, unless overridden in the environment.
postgres_url := env("HARKARA__POSTGRES__URL", "postgres://harkara@127.0.0.1:15432/harkara")
redis_url := env("HARKARA__REDIS__URL", "redis://127.0.0.1:16379")

# List all tasks
[private]
default:
    @just --list --unsorted

# Build and start everything, deliver an example of each event (--detach, --fresh, --no-install)
[group('run')]
up *ARGUMENTS:
    cargo dev up "$@"

# Stop what `up` started
[group('run')]
down:
    cargo dev down

# Show what is running
[group('run')]
status:
    cargo dev status

# Send signed examples: `just trigger payment.failed --count 100`
[group('run')]
trigger *ARGUMENTS:
    cargo run --quiet --package harkara-cli --bin harkara -- trigger "$@"

# Open psql on the database that `up` started
[group('run')]
psql *ARGUMENTS:
    psql "{{ postgres_url }}" "$@"

# Open redis-cli on the Redis that `up` started
[group('run')]
redis-cli *ARGUMENTS:
    redis-cli -u "{{ redis_url }}" "$@"

# Run all tests against private servers; arguments after `--` go to the test runner
[group('develop')]
test *ARGUMENTS:
    cargo dev test "$@"

# Start private servers and keep them, to run single tests from another terminal
[group('develop')]
test-servers:
    cargo dev test --servers-only

# Break servers, links and processes under load, then audit every delivery (--list, --short, --seed N)
[group('develop')]
test-faults *ARGUMENTS:
    cargo dev faults "$@"

# Format the code
[group('develop')]
fmt:
    cargo fmt --all

# Regenerate the references in docs/ and deploy/harkara.toml
[group('develop')]
docs:
    cargo run --quiet --package harkara-cli --bin harkara -- reference events > docs/events.md
    cargo run --quiet --package harkara-cli --bin harkara -- reference configuration > docs/configuration.md
    cargo run --quiet --package harkara-cli --bin harkara -- reference settings-file > deploy/harkara.toml
    cargo run --quiet --package harkara-cli --bin harkara -- reference cli > docs/cli.md
    cargo run --quiet --package harkara-cli --bin harkara -- reference metrics > docs/metrics.md

# Benchmark every stage and the peer (Linux only; --quick, --help)
[group('benchmark')]
bench *ARGUMENTS:
    cargo dev bench all "$@"

# Benchmark the ingress
[group('benchmark')]
bench-ingress *ARGUMENTS:
    cargo dev bench ingress "$@"

# Benchmark the worker
[group('benchmark')]
bench-worker *ARGUMENTS:
    cargo dev bench worker "$@"

# Benchmark start time and idle CPU time
[group('benchmark')]
bench-footprint *ARGUMENTS:
    cargo dev bench footprint "$@"

# Benchmark the whole pipeline end to end
[group('benchmark')]
bench-e2e *ARGUMENTS:
    cargo dev bench e2e "$@"

# Compare with Express and Fastify with BullMQ (needs Node.js)
[group('benchmark')]
bench-peer *ARGUMENTS:
    cargo dev bench peer "$@"

# Benchmark operators' commands on a large ledger (--rows)
[group('benchmark')]
bench-operators *ARGUMENTS:
    cargo dev bench operators "$@"

# Compare the instruction counts of core operations with the stored ones (needs valgrind; --accept)
[group('benchmark')]
bench-instructions *ARGUMENTS:
    cargo dev bench instructions "$@"

# Build what is shipped into dist/: a static binary with its names, manual and completions (Linux; TARGET, PROFILE, $BUILD)
[group('ship')]
dist target=(arch() + "-unknown-linux-gnu") profile="release":
    #!/usr/bin/env bash
    set -euo pipefail
    # With --target, build scripts and procedural macros stay dynamic, as they have to. Releases build with
    # `cargo auditable build`, which writes the list of dependencies into the binary.
    RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols" ${BUILD:-cargo build} --locked --profile "$2" --target "$1" \
        --package harkara-multicall
    built="target/$1/$([ "$2" = dev ] && echo debug || echo "$2")"
    rm -rf dist
    mkdir -p dist/bin dist/man dist/completions
    # The name by which it is called chooses the program.
    cp "$built/harkara-multicall" dist/bin/harkara
    ln -s harkara dist/bin/harkara-ingress
    ln -s harkara dist/bin/harkara-worker
    dist/bin/harkara reference man-pages dist/man
    dist/bin/harkara completions bash > dist/completions/harkara.bash
    dist/bin/harkara completions zsh > dist/completions/_harkara
    dist/bin/harkara completions fish > dist/completions/harkara.fish
    ls -l dist/bin

# Build the Debian package from dist/, after `just dist` (needs cargo-deb and cargo-about)
[group('ship')]
deb: licences
    cargo deb --package harkara-multicall --no-build --no-strip --output dist/

# Write the licences of all dependencies into dist/licences.html (needs cargo-about)
[group('ship')]
licences:
    mkdir -p dist
    cargo about generate --locked --workspace --config deploy/licences/about.toml \
        --output-file dist/licences.html deploy/licences/licences.hbs

# List what the binary is built from in dist/harkara.cdx.json, an SBOM in CycloneDX (needs cargo-cyclonedx)
[group('ship')]
sbom:
    #!/usr/bin/env bash
    set -euo pipefail
    mkdir -p dist
    cargo cyclonedx --quiet --format json --manifest-path crates/multicall/Cargo.toml
    mv crates/multicall/harkara-multicall.cdx.json dist/harkara.cdx.json
    # It writes one beside the manifest of each member of the workspace.
    rm -f crates/*/*.cdx.json

# Build the image with the small profile and check it (needs podman or docker, and the Rust image)
[group('ship')]
test-images image="localhost/harkara:test" profile="dev":
    ${ENGINE:-podman} build --file deploy/image/Containerfile --tag "$1" --build-arg PROFILE="$2" .
    deploy/image/check.sh "$1" "$([ "$2" = dev ] && echo 400 || echo 25)"

# Check an image that is built
[group('ship')]
check-image image:
    deploy/image/check.sh "$1"

# Start the compose file with an image, and audit a load while parts of it are killed (needs a Docker engine)
[group('ship')]
test-compose image="localhost/harkara:test":
    deploy/compose/test.sh "$1"

# Roll the minimal overlay out in a new kind cluster, and deliver (needs Docker, kind and kubectl)
[group('ship')]
test-kind image="localhost/harkara:test":
    deploy/kubernetes/test.sh "$1"

# Check manifests, the chart and the units
[group('ship')]
test-manifests *ARGUMENTS:
    cargo dev test -- --package harkara-cli --test manifests "$@"

# Check the systemd units
[group('ship')]
test-units:
    cargo dev test -- --package harkara-cli --test manifests units

# Check format, lints and documentation
[group('check')]
check: check-format check-lints check-docs

# Check that the code is formatted
[group('check')]
check-format:
    cargo fmt --all --check

# Run clippy; warnings are errors
[group('check')]
check-lints:
    cargo clippy --workspace --all-targets --locked -- --deny warnings

# Build the documentation; warnings are errors
[group('check')]
check-docs:
    RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --no-deps --document-private-items --locked

# Fuzz the parsers of untrusted bytes: `just fuzz [TARGET] [SECONDS]` (needs nightly Rust, cargo-fuzz)
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
        # There is no unsafe code, so a sanitizer would find nothing.
        cargo +nightly fuzz run --sanitizer none "$target" -- -max_total_time="$2" -timeout=10 -print_final_stats=1
    done

# Check advisories, licences and sources of dependencies (needs cargo-deny)
[group('check')]
audit:
    cargo deny --all-features check

# Check the GitHub workflows (needs actionlint and zizmor)
[group('check')]
lint-workflows:
    actionlint
    zizmor --persona pedantic .github

# Run everything that a change must pass
[group('check')]
ci: check test
