//! Rows into a table with the ledger's columns and its key alone: the ceiling of PostgreSQL.

use std::ops::Range;
use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use harkara_core::delivery::body_sha256;
use harkara_load::{Corpus, DeliveryRef};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use crate::postgres_server::{Database, connect};
use crate::product::default_settings;

/// Connections: as many as the usual worker has committers.
const CONNECTIONS: usize = 2;

/// Rows of one `COPY`.
const COPY_ROWS: usize = 2_000;

const COLUMNS: &str = "razorpay_event_id, event_type, endpoint, lane, status, body, body_sha256, \
     signature, occurred_at, created_at, processed_at, traceparent";

/// The `NOT NULL` columns of the ledger and those that nearly every row fills, stored as there.
const CREATE: &str = "CREATE TABLE bench_ledger (
    razorpay_event_id text COLLATE \"C\" PRIMARY KEY, event_type text NOT NULL, endpoint text NOT NULL,
    lane text NOT NULL, status text NOT NULL, body bytea NOT NULL, body_sha256 bytea NOT NULL,
    signature text NOT NULL, occurred_at timestamptz, created_at timestamptz NOT NULL,
    processed_at timestamptz, traceparent text)
    WITH (toast_tuple_target = 4080);
    ALTER TABLE bench_ledger ALTER COLUMN body SET STORAGE EXTERNAL";

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub(crate) enum LedgerWrite {
    #[strum(to_string = "unnest into the ledger's columns alone")]
    Unnest,
    #[strum(to_string = "COPY BINARY into the ledger's columns alone")]
    Copy,
}

/// Writes rows of `range`; returns how long it took.
pub(crate) async fn write(
    database: &Database,
    corpus: &Corpus,
    range: Range<usize>,
    write: LedgerWrite,
) -> Result<Duration> {
    let created = database.client.batch_execute(CREATE).await;
    created.context("cannot create the reference table")?;
    let columns = format!("SELECT {COLUMNS} FROM bench_ledger");
    let columns = database.client.prepare(&columns).await?;
    let types = columns
        .columns()
        .iter()
        .map(|column| column.type_().clone());
    let types: Vec<Type> = types.collect();
    let rows = match write {
        // As many as a batch of the worker has entries.
        LedgerWrite::Unnest => default_settings()?.worker.batch_entries_max,
        LedgerWrite::Copy => COPY_ROWS,
    };
    let positions: Vec<usize> = range.collect();
    let started = Instant::now();
    let parts = positions.chunks(positions.len().div_ceil(CONNECTIONS));
    let writing = parts.map(async |positions| {
        let client = connect(&database.url).await?;
        for positions in positions.chunks(rows) {
            let deliveries = positions.iter().map(|at| corpus.delivery(*at));
            let deliveries: Vec<DeliveryRef<'_>> = deliveries.collect();
            match write {
                LedgerWrite::Unnest => insert(&client, &deliveries).await,
                LedgerWrite::Copy => copy(&client, &deliveries, &types).await,
            }
            .context("PostgreSQL did not accept the rows")?;
        }
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(writing).await?;
    Ok(started.elapsed())
}

const ENDPOINT: &str = "default";
const LANE: &str = "default";
const STATUS: &str = "processed";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// In the select list, as in the product: there PostgreSQL unnests arrays row by row.
async fn insert(client: &Client, rows: &[DeliveryRef<'_>]) -> Result<(), Error> {
    let sql = format!(
        "INSERT INTO bench_ledger ({COLUMNS}) \
         SELECT id, type, $6, $7, $8, body, digest, signature, $9, $9, $9, $10 \
         FROM (SELECT unnest($1::text[]) AS id, unnest($2::text[]) AS type, \
         unnest($3::bytea[]) AS body, unnest($4::bytea[]) AS digest, \
         unnest($5::text[]) AS signature) AS i ON CONFLICT DO NOTHING"
    );
    let statement = client.prepare(&sql).await?;
    let bodies: Vec<&[u8]> = rows.iter().map(|row| row.body).collect();
    let digests: Vec<[u8; 32]> = rows.iter().map(|row| body_sha256(row.body)).collect();
    let digests: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
    client
        .execute(
            &statement,
            &[
                &rows.iter().map(|row| row.event_id).collect::<Vec<_>>(),
                &rows.iter().map(|row| row.event_name).collect::<Vec<_>>(),
                &bodies,
                &digests,
                &rows.iter().map(|row| row.signature_hex).collect::<Vec<_>>(),
                &ENDPOINT,
                &LANE,
                &STATUS,
                &SystemTime::now(),
                &TRACEPARENT,
            ],
        )
        .await?;
    Ok(())
}

async fn copy(client: &Client, rows: &[DeliveryRef<'_>], types: &[Type]) -> Result<(), Error> {
    let sql = format!("COPY bench_ledger ({COLUMNS}) FROM STDIN BINARY");
    let mut writer = pin!(BinaryCopyInWriter::new(client.copy_in(&sql).await?, types));
    let now = SystemTime::now();
    for row in rows {
        let digest = body_sha256(row.body);
        let values: [&(dyn ToSql + Sync); 12] = [
            &row.event_id,
            &row.event_name,
            &ENDPOINT,
            &LANE,
            &STATUS,
            &row.body,
            &digest.as_slice(),
            &row.signature_hex,
            &now,
            &now,
            &now,
            &TRACEPARENT,
        ];
        writer.as_mut().write(&values).await?;
    }
    writer.finish().await?;
    Ok(())
}
