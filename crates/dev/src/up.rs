//! `cargo dev up`: from a clone to processed example events.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use crate::addresses::Addresses;
use crate::arguments::UpOptions;
use crate::checkout::Checkout;
use crate::down::{self, UpLock};
use crate::product::{PACKAGES, Product};
use crate::report::Step;
use crate::services::Services;
use crate::task::{Task, cargo_build};
use crate::{data, install, ports, report, servers};

/// What operators ask the ledger first: deliveries of the last hour, and how many of them are pending.
const MONITORING: &str = "SELECT event_type, COUNT(*) AS total, \
    COUNT(CASE WHEN processed = true THEN 1 END) AS processed, \
    COUNT(CASE WHEN processed = false THEN 1 END) AS pending \
    FROM webhook_events WHERE created_at >= NOW() - INTERVAL '1 hour' GROUP BY event_type";

/// Runs the command.
pub(crate) fn run(options: &UpOptions) -> Result<()> {
    let whole = Step::start();
    let checkout = Checkout::find()?;
    let run = checkout.run()?;
    let _lock = lock(&run)?;
    if down::stop_leftovers(&run)? {
        report::say("stopped processes that an earlier `cargo dev up` had left running");
    }
    let addresses = Addresses::from_settings(|name| std::env::var(name).ok())?;
    ports::check(&addresses)?;
    if options.fresh {
        data::remove(&checkout)?;
    }

    // Building takes longest, so it starts first, and the servers come up beside it.
    let building = Step::start();
    let mut build = Task::start(&mut cargo_build(&checkout, &PACKAGES))?;
    let logs = checkout.logs()?;
    let mut services = Services::new(&logs, &run, true);
    start_servers(&checkout, &addresses, options.install, &mut services)?;
    ensure!(
        build.wait()?.success(),
        "the build failed; see cargo's errors above"
    );
    building.done("ingress, worker and the command `harkara` are built");

    let product = Product {
        checkout: &checkout,
        binaries: checkout.binaries("debug")?,
        addresses: &addresses,
    };
    let step = Step::start();
    product.migrate(&logs)?;
    step.done("the database is migrated");
    let step = Step::start();
    product.start(&mut services)?;
    step.done("ingress and worker are ready");
    report::say("");
    product.deliver_examples(&logs)?;
    services.check_running()?;
    summarize(&product, &whole, options);
    if options.detach {
        down::mark_detached(&run)?;
        services.leave_running();
        return Ok(());
    }
    services.watch()?;
    report::say("\nstopping");
    let step = Step::start();
    drop(services);
    step.done("everything is stopped; the data is kept for the next `cargo dev up`");
    Ok(())
}

/// Takes the right to run here.
fn lock(run: &Path) -> Result<UpLock> {
    match UpLock::acquire(run)? {
        UpLock::HeldBy(owner) => bail!(
            "another `cargo dev up` is already running here (process {owner}); use it, or stop it with `cargo dev down`"
        ),
        UpLock::Acquired(_) if down::is_detached_and_well(run) => bail!(
            "`cargo dev up --detach` is already running here; use it, or stop it with `cargo dev down`"
        ),
        acquired @ UpLock::Acquired(_) => Ok(acquired),
    }
}

fn start_servers(
    checkout: &Checkout,
    addresses: &Addresses,
    may_install: bool,
    services: &mut Services,
) -> Result<()> {
    let programs = install::find_or_install(may_install, &checkout.logs()?)?;
    let step = Step::start();
    let folder = checkout.dev()?.join("redis");
    let port = addresses.redis.address.port();
    servers::start_redis(services, &programs.redis, &folder, port, &[])?;
    step.done(format!("Redis is ready on 127.0.0.1:{port}"));

    let step = Step::start();
    let port = addresses.postgres.address.port();
    let (postgres, major) = data::postgres(checkout, &programs.postgres, port)?;
    servers::start_postgres(services, &postgres)?;
    step.done(format!("PostgreSQL {major} is ready on 127.0.0.1:{port}"));
    Ok(())
}

fn summarize(product: &Product<'_>, whole: &Step, options: &UpOptions) {
    let addresses = product.addresses;
    let harkara = product.checkout.shown(&product.harkara());
    let (redis, postgres) = (addresses.redis.value(), addresses.postgres.value());
    report::say(format!(
        "\nReady after {:.1} s.

  deliveries   POST {}
  ingress      http://{}/readyz   /metrics
  worker       http://{}/readyz   /metrics
  Redis        redis-cli -u {redis}
  PostgreSQL   psql {postgres}
  logs         .dev/logs/

Try:
  {harkara} trigger payment.captured
  {harkara} trigger payment.failed --count 100
  {harkara} events --limit 20
  psql {postgres} -c \"{MONITORING}\"",
        whole.elapsed().as_secs_f64(),
        product.delivery_url(),
        addresses.ingress_admin.reached_at(),
        addresses.worker_admin.reached_at(),
    ));
    let changed = addresses
        .all()
        .into_iter()
        .filter(|listener| std::env::var_os(listener.setting).is_some());
    let exports: Vec<String> = changed
        .map(|listener| format!("\n  export {}={}", listener.setting, listener.value()))
        .collect();
    if !exports.is_empty() {
        let exports = exports.concat();
        report::say(format!("\nIn another terminal, first set:{exports}"));
    }
    report::say(if options.detach {
        "\nEverything keeps running; `cargo dev down` stops it."
    } else {
        "\nCtrl-C stops everything."
    });
}
