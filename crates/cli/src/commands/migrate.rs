//! `harkara migrate`.

use harkara_settings::Settings;

use crate::exit::Ending;
use crate::output;
use harkara_operations::database;

/// Applies the missing migrations and makes the partitions of the months ahead.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<Ending> {
    for version in database::migrate(&settings.postgres).await? {
        output::line(format!("applied {version}"))?;
    }
    output::line("the schema is up to date")?;
    Ok(Ending::Done)
}
