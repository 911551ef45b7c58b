//! Rows into a table with the ledger's columns and its key alone: what PostgreSQL could take at most.

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use harkara_core::delivery::body_sha256;
use harkara_load::Corpus;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use crate::product::default_settings;
use crate::servers::postgres::{self, Database};

/// Connections, as the worker measured beside has committers.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Unnest,
    Copy,
}

/// Writes rows of `range`; returns how long it took.
pub(crate) async fn write(
    database: &Database,
    corpus: &Arc<Corpus>,
    range: Range<usize>,
    way: Way,
) -> Result<Duration> {
    database
        .client
        .batch_execute(CREATE)
        .await
        .context("the reference table cannot be made")?;
    let rows = match way {
        // As many as the worker takes entries at once.
        Way::Unnest => default_settings()?.worker.batch_entries_max,
        Way::Copy => COPY_ROWS,
    };
    let part = range.len().div_ceil(CONNECTIONS);
    let started = Instant::now();
    let writing = (0..CONNECTIONS).map(|index| {
        let start = range.start + index * part;
        let range = start..range.end.min(start + part);
        let corpus = Arc::clone(corpus);
        async move {
            let client = postgres::connect(&database.url).await?;
            let mut start = range.start;
            while start < range.end {
                let end = range.end.min(start + rows);
                let batch = Batch::of(&corpus, start..end);
                match way {
                    Way::Unnest => batch.insert(&client).await?,
                    Way::Copy => batch.copy(&client).await?,
                }
                start = end;
            }
            anyhow::Ok(())
        }
    });
    futures_util::future::try_join_all(writing).await?;
    Ok(started.elapsed())
}

/// Rows as columns.
struct Batch<'a> {
    ids: Vec<&'a str>,
    types: Vec<&'a str>,
    bodies: Vec<&'a [u8]>,
    digests: Vec<[u8; 32]>,
    signatures: Vec<&'a str>,
    now: SystemTime,
}

const ENDPOINT: &str = "default";
const LANE: &str = "default";
const STATUS: &str = "processed";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

impl<'a> Batch<'a> {
    fn of(corpus: &'a Corpus, range: Range<usize>) -> Self {
        let deliveries: Vec<_> = range.map(|at| corpus.delivery(at)).collect();
        Self {
            ids: deliveries.iter().map(|d| d.event_id).collect(),
            types: deliveries.iter().map(|d| d.event_name).collect(),
            bodies: deliveries.iter().map(|d| d.body).collect(),
            digests: deliveries.iter().map(|d| body_sha256(d.body)).collect(),
            signatures: deliveries.iter().map(|d| d.signature_hex).collect(),
            now: SystemTime::now(),
        }
    }

    /// In the select list, as the product has it: there PostgreSQL unnests arrays row by row.
    async fn insert(&self, client: &tokio_postgres::Client) -> Result<()> {
        let sql = format!(
            "INSERT INTO bench_ledger ({COLUMNS}) \
             SELECT id, type, $6, $7, $8, body, digest, signature, $9, $9, $9, $10 \
             FROM (SELECT unnest($1::text[]) AS id, unnest($2::text[]) AS type, \
             unnest($3::bytea[]) AS body, unnest($4::bytea[]) AS digest, \
             unnest($5::text[]) AS signature) AS i ON CONFLICT DO NOTHING"
        );
        let digests: Vec<&[u8]> = self.digests.iter().map(<[u8; 32]>::as_slice).collect();
        let statement = client.prepare(&sql).await?;
        let inserted = client
            .execute(
                &statement,
                &[
                    &self.ids,
                    &self.types,
                    &self.bodies,
                    &digests,
                    &self.signatures,
                    &ENDPOINT,
                    &LANE,
                    &STATUS,
                    &self.now,
                    &TRACEPARENT,
                ],
            )
            .await;
        inserted.context("PostgreSQL did not take the rows")?;
        Ok(())
    }

    async fn copy(&self, client: &tokio_postgres::Client) -> Result<()> {
        const TYPES: [Type; 12] = [
            Type::TEXT,
            Type::TEXT,
            Type::TEXT,
            Type::TEXT,
            Type::TEXT,
            Type::BYTEA,
            Type::BYTEA,
            Type::TEXT,
            Type::TIMESTAMPTZ,
            Type::TIMESTAMPTZ,
            Type::TIMESTAMPTZ,
            Type::TEXT,
        ];
        let sql = format!("COPY bench_ledger ({COLUMNS}) FROM STDIN BINARY");
        let sink = client.copy_in(&sql).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
        for at in 0..self.ids.len() {
            writer
                .as_mut()
                .write(&[
                    &self.ids[at],
                    &self.types[at],
                    &ENDPOINT,
                    &LANE,
                    &STATUS,
                    &self.bodies[at],
                    &self.digests[at].as_slice(),
                    &self.signatures[at],
                    &self.now,
                    &self.now,
                    &self.now,
                    &TRACEPARENT,
                ])
                .await?;
        }
        writer.finish().await?;
        Ok(())
    }
}
