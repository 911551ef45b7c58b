//! `harkara secrets`.

use clap::Args;
use harkara_operations::secrets::{SecretsReport, secrets};
use harkara_operations::wording::counted;
use harkara_operations::{Looked, database};
use harkara_settings::Settings;

use crate::arguments::now;
use crate::exit::Ending;
use crate::output::{self, Table, rfc3339_seconds};
use crate::walk::Progress;

/// Lists each endpoint's webhook secrets and when they last verified an event
///
/// A fingerprint of eight hex digits names each secret without revealing it. An old secret can be
/// removed once a newer one has been in use for 24 hours, which is how long Razorpay retries
/// deliveries signed with the old one, and the old one has verified nothing since.
///
/// Counts the events in the ledger: not those that workers have yet to commit, and an event with
/// duplicates only once. The metric `harkara_ingress_secret_used_total` counts every delivery.
/// Reads every event of the given days and tells how far it has come, so choose few for a large ledger.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct SecretsOptions {
    /// How many days of the ledger to read, 2 to 366
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u16).range(2..=366))]
    days: u16,

    /// Prints one JSON document: an object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  harkara secrets
  harkara secrets --days 2 --json";

/// Lists the secrets.
pub(crate) async fn run(settings: &Settings, options: &SecretsOptions) -> anyhow::Result<Ending> {
    let pool = database::open(&settings.postgres).await?;
    let mut progress = Progress::begin();
    let tell = |looked: &Looked| progress.tell(looked, || "counting goes on".to_owned());
    let report = secrets(&pool, settings, options.days, now(), tell).await?;
    output::report(options.json, &report, write_table)?;
    Ok(Ending::Done)
}

fn write_table(report: &SecretsReport) -> anyhow::Result<()> {
    if report.secrets.is_empty() {
        output::line(
            "no endpoint is configured here, and no event of these days names its secret",
        )?;
    } else {
        let columns = &["ENDPOINT", "SECRET", "POSITION", "EVENTS", "LAST USED"];
        let mut table = Table::new(columns, &[3]);
        for secret in &report.secrets {
            let position = match secret.position {
                Some(0) => "1, the newest".to_owned(),
                Some(position) => (position + 1).to_string(),
                None => "not configured".to_owned(),
            };
            let last_used = secret.last_used_at.map(rfc3339_seconds);
            let never = || format!("not within {}", counted(report.days.into(), "day"));
            table.row([
                secret.endpoint.clone(),
                secret.fingerprint.clone(),
                position,
                secret.events.to_string(),
                last_used.unwrap_or_else(never),
            ]);
            if secret.can_go {
                table.below("unused for 24 hours while a newer one was in use: it can be removed");
            }
        }
        table.print()?;
    }
    if report.unrecorded_events > 0 {
        let events = counted(report.unrecorded_events.try_into()?, "event");
        output::line(format!(
            "\n{events} of these days came before secrets were recorded; any secret may have verified them"
        ))?;
    }
    Ok(())
}
