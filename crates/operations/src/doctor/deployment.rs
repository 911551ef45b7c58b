//! Whose the streams are.

use harkara_core::deployment::Mark;
use harkara_settings::Settings;
use harkara_streams::{Deployment, connect_to_check};
use tokio::time::timeout;

use super::finding::{Area, Finding};
use super::probe::{PROBE_MAX, within};

/// Compares the mark beside the streams with the deployment, whose ledger is known if PostgreSQL answered. `None` if
/// Redis cannot be asked, which other checks report.
pub(super) async fn examine(settings: &Settings, deployment: &Deployment) -> Option<Finding> {
    let connecting = timeout(PROBE_MAX, connect_to_check(&settings.redis));
    let mut connection = connecting.await.ok()?.ok()?;
    Some(match within(deployment.read_mark(&mut connection)).await {
        Ok(mark) => judged(deployment, mark),
        Err(reason) => Area::Streams.check("deployment").problem(
            format!("{} cannot be read: {reason}", settings.redis.keys.mark()),
            "allow GET and SET for the user of redis.url; remove a key of another type",
        ),
    })
}

fn judged(deployment: &Deployment, mark: Option<Mark>) -> Finding {
    let check = Area::Streams.check("deployment");
    let Some(mark) = mark else {
        return check.ok("no mark yet: the first ingress or worker writes it");
    };
    let of = mark.to_string();
    match deployment.judge(Some(mark)) {
        Err(foreign) => check.problem(foreign.to_string(), foreign.remedy()),
        Ok(()) if deployment.mark().is_none() => {
            check.ok(format!("marked by {of}; only its name could be compared"))
        }
        Ok(()) => check.ok(format!("marked by {of}, as it should be")),
    }
}
