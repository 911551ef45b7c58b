//! Help texts.

/// Of `cargo dev`.
pub(crate) const OVERVIEW: &str = "\
cargo dev: run Harkara on this machine; needs only Rust and a C compiler

  cargo dev up       build everything, start private servers, ingress and worker, deliver one signed
                     example of each event and show the results; Ctrl-C stops everything
  cargo dev down     stop what `cargo dev up` started
  cargo dev status   show what is running
  cargo dev test     run every test against private servers
  cargo dev bench    measure every stage on private servers (Linux only)
  cargo dev faults   break servers, links and processes under load, and audit the results (Linux only)

Missing servers (Redis, PostgreSQL) are installed with the system's package manager.
`cargo dev COMMAND --help` explains a command. `just` lists all other tasks.";

/// Of `cargo dev up`.
pub(crate) const UP: &str = "\
cargo dev up [--detach] [--fresh] [--no-install]

Builds ingress, worker and the command `harkara`; starts a private Redis and a private PostgreSQL, with
data and logs under .dev/; migrates the database; starts ingress and worker; delivers one signed example
of each event and shows the results. Missing servers are installed with the system's package manager.
Data is kept from one `up` to the next.

  -d, --detach   return once everything is ready, and leave it running; `cargo dev down` stops it
  --fresh        delete the data of earlier runs first
  --no-install   install nothing; print what to install instead

Listen addresses, and the setting that changes each:
  127.0.0.1:8080    ingress            HARKARA__INGRESS__BIND
  127.0.0.1:9080    ingress, admin     HARKARA__INGRESS__ADMIN_BIND
  127.0.0.1:9081    worker, admin      HARKARA__WORKER__ADMIN_BIND
  127.0.0.1:16379   Redis              the port in HARKARA__REDIS__URL
  127.0.0.1:15432   PostgreSQL         the port in HARKARA__POSTGRES__URL

The endpoint `default` has the secret harkara-dev-secret, unless HARKARA__ENDPOINTS__DEFAULT__SECRETS
is set. All other HARKARA__* settings are passed on to the processes.";

/// Of `cargo dev test`.
pub(crate) const TEST: &str = "\
cargo dev test [--no-install] [--servers-only] [-- ARGUMENTS OF THE TEST RUNNER]

Starts a private Redis and PostgreSQL on free ports in a temporary folder, builds, runs every test of the
workspace (with cargo-nextest if installed, else with cargo test), and always stops and removes the
servers. Missing servers are installed with the system's package manager. Some tests need Redis 8.0 or
later; if the installed one is older, that of a later release of the distribution is fetched into .dev/,
without being installed. So is promtool if Prometheus is not installed. Your own settings (HARKARA_*,
OTEL_*) do not reach the tests.

  --no-install     install nothing; print what to install instead
  --servers-only   start the servers, print their addresses, and keep them until Ctrl-C

Examples:
  cargo dev test                                     everything
  cargo dev test -- --package harkara-core           one crate
  cargo dev test -- late_capture                     tests whose name contains this
  cargo dev test --servers-only                      then, in another terminal, paste the
                                                     `export` lines and run single tests";

/// Of `cargo dev bench`.
pub(crate) const BENCH: &str = "\
cargo dev bench [PART] [--no-install] [OPTIONS OF THE BENCHMARK]

Builds the release binaries, starts a private Redis and PostgreSQL on free ports, both with the
durability of production and on a disk, measures, prints the tables, and always stops and removes the
servers. It fails if an audit finds anything lost or stored twice. Missing servers are installed with the
system's package manager. Your own settings (HARKARA_*, OTEL_*) do not reach what is measured. Linux only,
because CPU time is read from /proc.

PART comes first:
  all            everything below except `operators` and `instructions` (the default)
  ingress        the ingress beside its references
  worker         the worker beside its references
  footprint      time until ready, and CPU time when idle
  telemetry      ingress and worker with traces and metrics exported, and without
  e2e            ingress and worker together at a fixed rate, and an audit of the ledger
  peer           Harkara beside Express or Fastify with BullMQ; needs Node.js 20 or later with npm,
                 without which `all` skips it
  operators      operators' commands on a large ledger, which is filled first
  instructions   instruction counts of verifying, encoding, decoding and folding, compared with the
                 stored ones; fails if one has grown; needs valgrind, but no servers and no quiet machine

  --no-install   install nothing; print what to install instead

Options of the benchmark, for every PART but `instructions`:
  --quick              a smoke test of seconds: one short round of everything; its figures mean nothing;
                       excludes --seconds, --e2e-rates and --long
  --rounds N           rounds in which all variants take turns, 1 to 100; default 5 for
                       `ingress` and 3 for the others
  --seconds S          seconds of one run at full speed, 0.1 to 3600 (5); a run at a fixed rate takes
                       twice that, one of `e2e` four times
  --events N           events of one run of the worker (200000)
  --e2e-rates RATE,... deliveries per second of `e2e`, measured one after another (15000)
  --rows N             rows of the ledger of `operators` (200000); 20000000 take some 60 GB
  --long               let `worker` also drain a backlog of two million entries
  --filter TEXT        measure only variants whose name contains this
  --json FILE          also write the report as JSON
  --plots FOLDER       also draw the plots as SVG into this folder

The option of `instructions`:
  --accept             store the counts of this build instead of failing if one has grown

Examples:
  cargo dev bench                                    everything; leave the machine idle
  cargo dev bench --quick                            check that everything runs here
  cargo dev bench ingress --json ingress.json        one part
  cargo dev bench e2e --e2e-rates 5000,10000         the whole pipeline at two rates";

/// Of `cargo dev faults`.
pub(crate) const FAULTS: &str = "\
cargo dev faults [--no-install] [OPTIONS OF THE SUITE] [FAULT...]

Builds the release binaries (Linux only). For each fault it starts a Redis, a PostgreSQL, an ingress and
workers, with links between them that can be broken; lets `harkara load` deliver; injects the fault; and
audits: every delivery answered 200 is in the ledger with the same bytes and took effect once, and every
answer is one that was promised. Prints a table in Markdown, and fails if a promise was broken. Missing
servers are installed with the system's package manager. Clock jumps need the C compiler `cc`, and the
full disk needs root.

  --no-install    install nothing; print what to install instead

Options of the suite:
  --list          list the faults with a description
  --short         a few seconds and few deliveries for each fault, as in `cargo dev test`
  --seed N        determines deliveries, moments and victims; random by default, and printed
  --rounds N      how often to run everything, each time with the next seed (1)
  --json FILE     also write the findings as JSON

Examples:
  cargo dev faults                           all of them: twenty minutes and more
  cargo dev faults redis-killed --seed 7     one, with the deliveries and moments of an earlier run";
