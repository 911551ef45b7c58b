//! Operators' commands on a large ledger: how long they take, and how long each of their steps.

mod fill;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use harkara_operations::events::{self, EventFilter, EventStatus, Listing};
use harkara_operations::replay::{Replay, ReplaySelection};
use harkara_operations::secrets::secrets;
use harkara_operations::{Actor, ActorOrigin};
use harkara_settings::Settings;
use harkara_storage::{Pool, PoolSettings};

use crate::arguments::Part;
use crate::bench::Bench;
use crate::figures::{Figures, Other, count};
use crate::postgres_server::Database;
use crate::report::goal::{Goal, at_most};
use crate::results::{Results, Run, Stage};
use fill::{Filled, fill};

const TITLE: &str = "operators' commands on a ledger";

/// The longest step of any command.
const STEP_MS_MAX: f64 = 1000.0;

/// Events that a listing shows, as by default.
const LIMIT: u32 = 50;

/// Days that the use of secrets is counted for: all.
const DAYS: u16 = 366;

/// Most events to replay; each is stored again.
const REPLAYED_MAX: u64 = 1_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Newest,
    Failed,
    Pending,
    OfEntity,
    Show,
    RareAccount,
    RareType,
    Secrets,
    CountFailed,
    CountProcessed,
    View,
    /// The last one, since it changes the ledger.
    Replay,
}

const COMMANDS: [Command; 12] = [
    Command::Newest,
    Command::Failed,
    Command::Pending,
    Command::OfEntity,
    Command::Show,
    Command::RareAccount,
    Command::RareType,
    Command::Secrets,
    Command::CountFailed,
    Command::CountProcessed,
    Command::View,
    Command::Replay,
];

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Newest => "events",
            Self::Failed => "events --status failed",
            Self::Pending => "events --status pending",
            Self::OfEntity => "events --entity",
            Self::Show => "events show",
            Self::RareAccount => "events --account, of the oldest event",
            Self::RareType => "events --type, rare",
            Self::Secrets => "secrets --days 366",
            Self::CountFailed => "replay --status failed --dry-run",
            Self::CountProcessed => "replay --status processed --dry-run",
            Self::View => "SELECT from webhook_event_payloads",
            Self::Replay => "replay --status processed, up to a million",
        })
    }
}

/// Fills a ledger and runs every command on it.
pub(crate) async fn measure(bench: &Bench, results: &mut Results) -> Result<()> {
    let database = bench.postgres.fresh().await?;
    let filled = fill(&database, bench.scale.ledger_rows).await?;
    let ledger = Ledger {
        pool: pool(&database.url)?,
        database,
        filled,
    };
    let stage = Stage(Part::Operators, TITLE, bench.scale.rounds_others);
    let run = async |command| ledger.run(command).await;
    results.measure(&bench.scale, stage, &COMMANDS, run).await?;
    results.goals.extend(goals(results));
    results
        .notes
        .push(format!("the ledger had {} rows", bench.scale.ledger_rows));
    Ok(())
}

fn goals(results: &Results) -> Vec<Goal> {
    let goal = |command: Command| {
        let row = results.row(TITLE, command);
        let longest = row.and_then(|row| row.median.other(Other::LongestStepMs));
        at_most(
            STEP_MS_MAX,
            &format!("{command}: longest step, ms"),
            longest,
        )
    };
    COMMANDS.map(goal).into()
}

fn pool(url: &str) -> Result<Pool> {
    let url = Settings::from_pairs([("postgres.url", url)])?.postgres;
    Ok(Pool::new(&PoolSettings::of(&url, "harkara-bench"))?)
}

struct Ledger {
    database: Database,
    pool: Pool,
    filled: Filled,
}

/// The times of a command's steps.
#[derive(Default)]
struct Steps(Vec<Duration>);

impl Steps {
    async fn time<T>(&mut self, step: impl Future<Output = T>) -> T {
        let from = Instant::now();
        let result = step.await;
        self.0.push(from.elapsed());
        result
    }

    fn figures(&self) -> Figures {
        let ms = |time: &Duration| time.as_secs_f64() * 1e3;
        let total: f64 = self.0.iter().map(ms).sum();
        let longest = self.0.iter().map(ms).fold(0.0, f64::max);
        Figures {
            rate_per_s: 1e3 / total,
            others: [
                (Other::CommandMs, total),
                (Other::LongestStepMs, longest),
                (Other::Steps, count(self.0.len())),
            ]
            .into(),
            ..Figures::default()
        }
    }
}

impl Ledger {
    async fn run(&self, command: Command) -> Result<Run> {
        let mut steps = Steps::default();
        let all = EventFilter::all();
        let text = |text: &str| Some(text.to_owned());
        let with_status = |status| EventFilter {
            status: Some(status),
            ..EventFilter::all()
        };
        let found = match command {
            Command::Newest => self.list(&mut steps, all, None).await?,
            Command::Failed => {
                self.list(&mut steps, with_status(EventStatus::Failed), None)
                    .await?
            }
            Command::Pending => {
                self.list(&mut steps, with_status(EventStatus::Pending), None)
                    .await?
            }
            Command::OfEntity => {
                self.list(&mut steps, all, text(&self.filled.entity_id))
                    .await?
            }
            Command::RareAccount => {
                let account_id = text(fill::RARE_ACCOUNT);
                self.list(&mut steps, EventFilter { account_id, ..all }, None)
                    .await?
            }
            Command::RareType => {
                let event_type = text(fill::RARE_TYPE);
                self.list(&mut steps, EventFilter { event_type, ..all }, None)
                    .await?
            }
            Command::Show => self.show(&mut steps).await?,
            Command::Secrets => self.secrets(&mut steps).await?,
            Command::CountFailed => {
                let selection = selection(EventStatus::Failed, all.since);
                self.replay(&mut steps, Replay::count(selection)).await?
            }
            Command::CountProcessed => {
                let selection = selection(EventStatus::Processed, all.since);
                self.replay(&mut steps, Replay::count(selection)).await?
            }
            Command::View => self.view(&mut steps).await?,
            Command::Replay => {
                let selection = selection(
                    EventStatus::Processed,
                    self.filled.since_newest(REPLAYED_MAX),
                );
                let actor = Actor::new("bench", ActorOrigin::CommandLine)?;
                self.replay(&mut steps, Replay::by(actor, selection))
                    .await?
            }
        };
        ensure!(found > 0, "{command} found nothing");
        if command == Command::Replay {
            self.settle().await?;
        }
        Ok((steps.figures(), None))
    }

    async fn list(
        &self,
        steps: &mut Steps,
        filter: EventFilter,
        entity: Option<String>,
    ) -> Result<u64> {
        let beginning = Listing::begin(&self.pool, filter, entity, LIMIT);
        let mut listing = steps.time(beginning).await?;
        while !steps.time(listing.step(&self.pool)).await? {}
        Ok(u64::try_from(listing.page().events.len())?)
    }

    async fn show(&self, steps: &mut Steps) -> Result<u64> {
        let settings = Settings::from_pairs::<&str, &str>([])?;
        let showing = events::show(&self.pool, &settings, &self.filled.event_id);
        steps.time(showing).await?;
        Ok(1)
    }

    async fn secrets(&self, steps: &mut Steps) -> Result<u64> {
        let settings = Settings::from_pairs::<&str, &str>([])?;
        let mut from = Instant::now();
        let report = secrets(&self.pool, &settings, DAYS, Utc::now(), |_| {
            steps.0.push(from.elapsed());
            from = Instant::now();
        })
        .await?;
        let found = report.secrets.first().context("no secret was used")?;
        Ok(u64::try_from(found.events)?)
    }

    async fn replay(&self, steps: &mut Steps, mut replay: Replay) -> Result<u64> {
        while !steps.time(replay.step(&self.pool)).await? {}
        Ok(replay.so_far().0)
    }

    /// Payloads of the newest events, as somebody might ask for them.
    async fn view(&self, steps: &mut Steps) -> Result<u64> {
        let since = self.filled.since_newest(20_000).to_rfc3339();
        let sql = format!(
            "SELECT count(payload ->> 'event') FROM webhook_event_payloads WHERE created_at >= '{since}'"
        );
        let counting = self.database.value::<i64>(&sql, &[]);
        let counted = steps.time(counting).await?;
        Ok(u64::try_from(counted)?)
    }

    /// Makes the replayed events processed again, for the next round.
    async fn settle(&self) -> Result<()> {
        let client = &self.database.client;
        let settle = "UPDATE webhook_events SET status = 'processed', next_attempt_at = NULL \
            WHERE status = 'pending' AND attempts = 0";
        client
            .batch_execute(settle)
            .await
            .context("PostgreSQL settles no events")?;
        let vacuum = client.batch_execute("VACUUM ANALYZE webhook_events").await;
        vacuum.context("PostgreSQL does not vacuum")
    }
}

fn selection(status: EventStatus, since: DateTime<Utc>) -> ReplaySelection {
    ReplaySelection {
        status,
        event_type: None,
        since,
        before: EventFilter::all().before,
    }
}
