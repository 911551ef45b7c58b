//! `harkara trigger`.

mod follow;

mod names;

mod report;

mod sending;

use std::net::IpAddr;

use clap::Args;
use harkara_core::endpoint::EndpointName;
use harkara_core::secret::Secret;
use harkara_runtime::clock;
use harkara_settings::Settings;
use harkara_simulator::delivery::Signed;
use harkara_simulator::plan::{Options, plan};
use harkara_simulator::send::Destination;

use crate::arguments::secret;
use crate::commands::receiver::{signing_secret, url_of};
use crate::exit::{Ending, UsageError};
use crate::output;
use crate::traced::Call;
use harkara_operations::database;

/// The answer to an accepted delivery.
const ACCEPTED: u16 = 200;

/// The answer to a wrong signature.
const REFUSED: u16 = 401;

/// Sends signed example deliveries, as Razorpay would
///
/// Every event is new: fresh ids, linked entities, a valid shape. Succeeds if every answer is 200, or
/// 401 with --bad-signature.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct TriggerOptions {
    /// Names of events such as payment.captured, or `all` for one of each typed event
    /// (docs/events.md lists all names)
    #[arg(required = true, value_name = "EVENT", verbatim_doc_comment)]
    events: Vec<String>,

    /// Where to send [default: this machine's ingress, by its settings]
    #[arg(long)]
    url: Option<String>,

    /// The endpoint whose path and secret are used
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = endpoint)]
    endpoint: EndpointName,

    /// The secret to sign with [default: the endpoint's newest in the settings]
    #[arg(long, value_parser = secret)]
    secret: Option<Secret>,

    /// Number of distinct events for each name
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,

    /// Sends every delivery twice, like a retry
    #[arg(long)]
    duplicate: bool,

    /// Sends the deliveries in random order
    #[arg(long)]
    reorder: bool,

    /// Sends wrong signatures, and expects 401
    #[arg(long)]
    bad_signature: bool,

    /// Allows names outside the catalogue
    #[arg(long)]
    unlisted: bool,

    /// Makes ids and contents reproducible [default: random]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Waits until every event is processed, and shows the changed rows
    #[arg(long, conflicts_with = "bad_signature")]
    follow: bool,

    /// Prints one JSON document: an array of deliveries, with --follow of events
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  harkara trigger all --follow
  harkara trigger payment.failed --count 100
  harkara trigger order.paid refund.processed --duplicate --reorder
  harkara trigger payment.captured --bad-signature
  harkara trigger invoice.paid --endpoint live --url http://10.0.0.7:8080/webhooks/razorpay/live
  harkara trigger something.new --unlisted";

/// Sends the events, prints the answers, and follows the events with `--follow`.
pub(crate) async fn run(
    call: &Call,
    settings: &Settings,
    options: &TriggerOptions,
) -> anyhow::Result<Ending> {
    let events = names::resolve(&options.events, options.unlisted)?;
    let url = match &options.url {
        Some(url) => url.clone(),
        None => url_of(settings.ingress.bind, &options.endpoint)?,
    };
    let destination = Destination::parse(&url).map_err(|error| UsageError(error.to_string()))?;
    let secret = signing_secret(
        settings,
        &options.endpoint,
        options.secret.as_ref(),
        is_loopback(&destination),
    )?;
    // Before anything is sent: a follow that cannot succeed must not begin.
    let pool = if options.follow {
        Some(database::open(&settings.postgres).await?)
    } else {
        None
    };

    let deliveries = signed_deliveries(options, events, &secret)?;
    if options.secret.is_none() && settings.endpoints.is_empty() && !options.json {
        output::note("No secret is configured; signing with the development secret.");
    }

    let expected = if options.bad_signature {
        REFUSED
    } else {
        ACCEPTED
    };
    let sent = sending::send_all(call, &destination, &deliveries).await;
    if let Some(pool) = pool {
        sent.check(expected)?;
        if !options.json {
            report::summary(&url, &deliveries, &sent)?;
            output::line("")?;
        }
        return follow::follow(&pool, &deliveries, options.json).await;
    }
    if options.json {
        report::json(&deliveries, &sent)?;
    } else {
        report::lines(&deliveries, &sent)?;
        report::summary(&url, &deliveries, &sent)?;
    }
    sent.check(expected)
}

fn signed_deliveries(
    options: &TriggerOptions,
    events: Vec<String>,
    secret: &Secret,
) -> anyhow::Result<Vec<Signed>> {
    let plan_options = Options {
        events,
        count: usize::try_from(options.count)?,
        duplicate: options.duplicate,
        reorder: options.reorder,
        bad_signature: options.bad_signature,
    };
    let seed = options.seed.unwrap_or_else(rand::random);
    let now_seconds = clock::now().millis() / 1000;
    plan(&plan_options, secret, seed, now_seconds)
        .map_err(|error| UsageError(format!("{error}; give a lower --count")).into())
}

fn endpoint(name: &str) -> Result<EndpointName, String> {
    EndpointName::parse(name).map_err(|error| error.to_string())
}

fn is_loopback(destination: &Destination) -> bool {
    let address = destination.address();
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{Destination, is_loopback};

    #[test]
    fn only_this_machine_is_signed_for_with_the_development_secret() {
        for (url, is_this_machine) in [
            ("http://127.0.0.1:8080/", true),
            ("http://localhost/", true),
            ("http://[::1]:8080/", true),
            ("http://10.0.0.7:8080/", false),
            ("http://localhost.example.com/", false),
        ] {
            let destination = Destination::parse(url).unwrap();
            assert_eq!(is_loopback(&destination), is_this_machine, "{url}");
        }
    }
}
