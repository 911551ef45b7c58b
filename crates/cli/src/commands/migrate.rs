//! `harkara migrate`.

use anyhow::bail;
use harkara_settings::Settings;
use harkara_storage::migrations;

use crate::exit::Ending;
use crate::{database, output};

/// Applies the missing migrations and makes the partitions of the months ahead.
pub(crate) async fn run(settings: &Settings) -> anyhow::Result<Ending> {
    let pool = database::reach(&settings.postgres).await?;
    let postgres = &settings.postgres;
    let applied = migrations::migrate(&postgres.url, postgres.tls.as_ref()).await?;
    for version in &applied {
        output::line(format!("applied {version}"))?;
    }
    // A schema that has moved on beyond this binary lacks nothing, and yet does not fit.
    if let Some(fault) = migrations::check(&pool).await?.problem() {
        bail!(fault);
    }
    migrations::ensure_partitions(&pool).await?;
    output::line("the schema is up to date")?;
    Ok(Ending::Done)
}
