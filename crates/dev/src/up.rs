//! `cargo dev up`: from a clone to processed example events, and then watched.

use std::path::Path;
use std::process::ExitCode;

use crate::addresses::Addresses;
use crate::arguments::UpOptions;
use crate::checkout::Checkout;
use crate::down::{self, Claim};
use crate::failure::Result;
use crate::product::{self, Product};
use crate::report::Step;
use crate::service::{Kind, Places, Services};
use crate::{data, install, interrupt, ports, postgres, redis, report};

/// What operators ask the ledger first: how much came in the last hour, and how much of it waits.
const MONITORING: &str = "SELECT event_type, COUNT(*) AS total, \
    COUNT(CASE WHEN processed = true THEN 1 END) AS processed, \
    COUNT(CASE WHEN processed = false THEN 1 END) AS pending \
    FROM webhook_events WHERE created_at >= NOW() - INTERVAL '1 hour' GROUP BY event_type";

/// Runs the command.
pub(crate) fn run(options: &UpOptions) -> Result<ExitCode> {
    let whole = Step::start();
    let checkout = Checkout::find()?;
    let run = checkout.run()?;
    let _claim = claim(&run)?;
    if down::end_leftovers(&run)? {
        report::say("stopped what an earlier `cargo dev up` had left running");
    }
    let addresses = Addresses::from_settings(|name| std::env::var(name).ok())?;
    ports::check(&addresses)?;
    if options.fresh {
        data::remove(&checkout)?;
    }

    // Building takes longest, so it begins first, and the servers come up beside it.
    let building = Step::start();
    let mut build = Product::build(&checkout)?;
    let logs = checkout.logs()?;
    let places = Places {
        logs: &logs,
        run: &run,
    };
    let mut services = Services::none(true);
    start_servers(&checkout, &addresses, options, &places, &mut services)?;
    if !build.wait()?.success() {
        return Err("the build failed; cargo's words above tell why".into());
    }
    building.done("ingress, worker and the command `harkara` are built");

    let product = Product {
        checkout: &checkout,
        binaries: checkout.binaries("debug")?,
        addresses: &addresses,
    };
    start_product(&product, &places, &mut services)?;
    report::say("");
    product.deliver_examples(&logs)?;
    services.check_alive()?;
    summarize(&product, &whole, options);
    if options.detach {
        down::mark_detached(&run)?;
        services.leave_running();
        return Ok(ExitCode::SUCCESS);
    }
    watch(services)
}

/// Takes the right to run here, or says who has it and what to do.
fn claim(run: &Path) -> Result<Claim> {
    match Claim::take(run)? {
        Claim::Held(owner) => Err(format!(
            "another `cargo dev up` is already running here (process {owner}); use it, or stop it with `cargo dev down`"
        )
        .into()),
        Claim::Taken(_) if down::is_detached_and_well(run) => {
            Err("`cargo dev up --detach` is already running here; use it, or stop it with `cargo dev down`".into())
        }
        taken @ Claim::Taken(_) => Ok(taken),
    }
}

fn start_servers(
    checkout: &Checkout,
    addresses: &Addresses,
    options: &UpOptions,
    places: &Places<'_>,
    services: &mut Services,
) -> Result<()> {
    let programs = install::find_or_install(options.install, places.logs)?;
    let (redis_port, postgres_port) = (
        addresses.redis.address.port(),
        addresses.postgres.address.port(),
    );

    let step = Step::start();
    let data = checkout.dev()?.join("redis");
    let service = services.add(redis::start(
        &programs.redis,
        &data,
        redis_port,
        &[],
        places,
    )?);
    redis::wait_until_ready(service, redis_port)?;
    step.done(format!("Redis is ready on 127.0.0.1:{redis_port}"));

    let step = Step::start();
    let (home, account) = data::postgres_home(checkout)?;
    let programs = data::matching(&programs.postgres, &home)?;
    let plan = postgres::Plan {
        programs,
        home: &home,
        account,
        port: postgres_port,
        // Its defaults have the durability of production.
        settings: &[],
        places,
    };
    postgres::wait_until_ready(services.add(plan.start()?), &home)?;
    step.done(format!(
        "PostgreSQL {} is ready on 127.0.0.1:{postgres_port}",
        programs.major
    ));
    Ok(())
}

fn start_product(
    product: &Product<'_>,
    places: &Places<'_>,
    services: &mut Services,
) -> Result<()> {
    let step = Step::start();
    product.migrate(places.logs)?;
    step.done("the database's schema is up to date");

    let step = Step::start();
    // Both start before either is waited for.
    for kind in [Kind::Ingress, Kind::Worker] {
        services.add(product.start(kind, places)?);
    }
    let admins = [
        (Kind::Ingress, &product.addresses.ingress_admin),
        (Kind::Worker, &product.addresses.worker_admin),
    ];
    for (kind, admin) in admins {
        let service = services.of(kind).ok_or("a process was not started")?;
        product::wait_until_ready(service, admin)?;
    }
    step.done("ingress and worker are ready");
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
        .filter(|place| std::env::var_os(place.setting).is_some());
    let exports: Vec<String> = changed
        .map(|place| format!("\n  export {}={}", place.setting, place.value()))
        .collect();
    if !exports.is_empty() {
        report::say(format!(
            "\nAnother terminal needs the same settings first:{}",
            exports.concat()
        ));
    }
    report::say(if options.detach {
        "\nAll of it keeps running; `cargo dev down` stops it."
    } else {
        "\nCtrl-C stops all of it."
    });
}

/// Stays until Ctrl-C, or until a process ends by itself.
fn watch(mut services: Services) -> Result<ExitCode> {
    while !interrupt::requested() {
        services.check_alive()?;
        interrupt::pause_regardless();
    }
    report::say("\nstopping");
    let step = Step::start();
    drop(services);
    step.done("everything is stopped; the data stays for the next `cargo dev up`");
    Ok(ExitCode::SUCCESS)
}
