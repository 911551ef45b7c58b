//! How the server confirms a durability level.

use std::fmt;

use harkara_core::durability::Durability;
use harkara_core::lane::{LANES, Lane};

use crate::server_check::{Fsync, ServerReport};
use harkara_settings::IngressSettings;

/// The commands that confirm the durability level of a group of appends, beyond the reply to each append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Confirmation {
    /// `WAITAOF`: it is on the server's disk.
    pub fsync: bool,
    /// `WAIT`: that many replicas have it; 0 waits for none.
    pub replicas: usize,
}

/// The durability level of each lane and its confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmations {
    levels: [Durability; LANES],
    by_lane: [Confirmation; LANES],
    /// Whether the server fsyncs before it replies, so that grouping appends pays off.
    pub fsyncs_before_reply: bool,
}

/// A durability level that the server cannot confirm. Displayed with its remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelUnavailable {
    /// It neither fsyncs before it replies nor confirms an fsync on request.
    NotFsynced {
        /// The lane.
        lane: Lane,
        /// Its configured level.
        level: Durability,
        /// `host:port`.
        address: String,
        /// The server's persistence.
        persistence: String,
    },
    /// It has too few replicas.
    TooFewReplicas {
        /// The lane.
        lane: Lane,
        /// `host:port`.
        address: String,
        /// Replicas required.
        wanted: usize,
        /// Replicas connected.
        connected: usize,
    },
}

impl fmt::Display for LevelUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem(), self.remedy())
    }
}

impl LevelUnavailable {
    /// The problem alone.
    #[must_use]
    pub fn problem(&self) -> String {
        match self {
            Self::NotFsynced {
                lane,
                level,
                address,
                persistence,
            } => format!(
                "lane {lane} requires {level}, but Redis at {address} does not confirm fsyncs ({persistence})"
            ),
            Self::TooFewReplicas {
                lane,
                address,
                wanted,
                connected,
            } => format!(
                "lane {lane} requires {wanted} replicas, but Redis at {address} has {connected}"
            ),
        }
    }

    /// What an operator can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotFsynced { .. } => {
                "set appendonly yes, appendfsync always and no-appendfsync-on-rewrite no; or use appendfsync everysec with Redis 7.2, or 8.0 or later (7.4 and Valkey confirm before the fsync); or lower ingress.durability (HARKARA__INGRESS__DURABILITY) to appended; or set ingress.trust_redis=true"
            }
            Self::TooFewReplicas { .. } => {
                "start more replicas, or lower ingress.replicas_min or ingress.durability"
            }
        }
    }
}

impl Confirmation {
    /// The reply to the append alone.
    pub const REPLY: Self = Self {
        fsync: false,
        replicas: 0,
    };
}

impl Confirmations {
    /// The confirmations for the levels of the settings. Fails with a level that the server cannot confirm.
    pub fn of(settings: &IngressSettings, server: &ServerReport) -> Result<Self, LevelUnavailable> {
        let mut by_lane = [Confirmation::REPLY; LANES];
        for lane in Lane::ALL {
            let level = settings.durability[lane.index()];
            by_lane[lane.index()] = confirmation(lane, level, settings, server)?;
        }
        Ok(Self {
            levels: settings.durability,
            by_lane,
            fsyncs_before_reply: fsyncs_before_reply(server),
        })
    }

    /// The level of a confirmed append to a lane.
    #[must_use]
    pub fn level(&self, lane: Lane) -> Durability {
        self.levels[lane.index()]
    }

    /// Whether appends of any lane are grouped.
    #[must_use]
    pub(crate) fn are_grouped(&self) -> bool {
        self.fsyncs_before_reply || self.by_lane != [Confirmation::REPLY; LANES]
    }

    /// Whether appends of any lane wait for an fsync.
    #[must_use]
    pub fn wait_for_fsync(&self) -> bool {
        self.by_lane.iter().any(|confirmation| confirmation.fsync)
    }

    /// The confirmation of appends to a lane.
    #[must_use]
    pub fn confirmation(&self, lane: Lane) -> Confirmation {
        self.by_lane[lane.index()]
    }
}

fn confirmation(
    lane: Lane,
    level: Durability,
    settings: &IngressSettings,
    server: &ServerReport,
) -> Result<Confirmation, LevelUnavailable> {
    if level == Durability::Appended {
        return Ok(Confirmation::REPLY);
    }
    let fsync = match server.fsync {
        Fsync::BeforeReply => false,
        Fsync::OnRequest => true,
        Fsync::Unconfirmed if settings.trust_redis => false,
        Fsync::Unconfirmed => {
            return Err(LevelUnavailable::NotFsynced {
                lane,
                level,
                address: server.address.clone(),
                persistence: persistence(server),
            });
        }
    };
    let replicas = match level {
        Durability::Replicated => settings.replicas_min,
        _ => 0,
    };
    if server.replicas < replicas {
        return Err(LevelUnavailable::TooFewReplicas {
            lane,
            address: server.address.clone(),
            wanted: replicas,
            connected: server.replicas,
        });
    }
    Ok(Confirmation { fsync, replicas })
}

fn persistence(server: &ServerReport) -> String {
    let version = &server.version;
    match server.appendfsync.as_deref() {
        Some("always") => {
            format!("appendfsync always with no-appendfsync-on-rewrite yes, version {version}")
        }
        Some(policy) => format!("appendfsync {policy}, version {version}"),
        None => "its append-only file is off or unknown".to_owned(),
    }
}

fn fsyncs_before_reply(server: &ServerReport) -> bool {
    server.appendfsync.as_deref() == Some("always")
}

#[cfg(test)]
mod tests {
    use super::{Confirmation, Confirmations, Fsync, LevelUnavailable, ServerReport};
    use harkara_core::lane::LANES;
    use harkara_settings::{IngressSettings, Settings};

    fn settings(changed: &[(&str, &str)]) -> IngressSettings {
        let changed = changed.iter().copied();
        Settings::from_pairs(changed).unwrap().ingress
    }

    fn server(appendfsync: Option<&str>, fsync: Fsync, replicas: usize) -> ServerReport {
        ServerReport {
            address: "h:1".to_owned(),
            version: "7.0.15".to_owned(),
            appendfsync: appendfsync.map(str::to_owned),
            fsync,
            replicas,
            memory_bytes: (0, 0),
            warnings: Vec::new(),
        }
    }

    /// The confirmation of each lane, `critical` first.
    fn confirmations(
        changed: &[(&str, &str)],
        server: &ServerReport,
    ) -> Result<[Confirmation; LANES], LevelUnavailable> {
        Confirmations::of(&settings(changed), server).map(|confirmations| confirmations.by_lane)
    }

    const FSYNC: Confirmation = Confirmation {
        fsync: true,
        ..Confirmation::REPLY
    };

    #[test]
    fn a_server_that_fsyncs_before_it_replies_needs_no_further_command() {
        let server = server(Some("always"), Fsync::BeforeReply, 0);
        let reply = [Confirmation::REPLY; LANES];
        assert_eq!(confirmations(&[], &server), Ok(reply));
    }

    #[test]
    fn fsyncs_every_second_are_awaited_if_the_server_confirms_them() {
        let newer = server(Some("everysec"), Fsync::OnRequest, 0);
        assert_eq!(confirmations(&[], &newer), Ok([FSYNC; LANES]));
        let older = confirmations(&[], &server(Some("everysec"), Fsync::Unconfirmed, 0));
        assert!(matches!(older, Err(LevelUnavailable::NotFsynced { .. })));
    }

    #[test]
    fn an_unconfirmed_level_is_refused_unless_redis_is_trusted() {
        for appendfsync in [None, Some("no"), Some("everysec")] {
            let server = server(appendfsync, Fsync::Unconfirmed, 0);
            let refused = confirmations(&[], &server).unwrap_err();
            assert!(refused.remedy().contains("appendfsync always"));
            for setting in [
                ("ingress.trust_redis", "true"),
                ("ingress.durability", "appended"),
            ] {
                confirmations(&[setting], &server).unwrap();
            }
        }
    }

    #[test]
    fn each_lane_has_its_own_level() {
        let settings = [
            ("ingress.durability", "appended"),
            ("durability.critical", "replicated"),
            ("ingress.replicas_min", "2"),
        ];
        let [critical, others @ ..] =
            confirmations(&settings, &server(Some("always"), Fsync::BeforeReply, 2)).unwrap();
        let (fsync, replicas) = (false, 2);
        assert_eq!(critical, Confirmation { fsync, replicas });
        assert_eq!(others, [Confirmation::REPLY; LANES - 1]);
        let too_few = confirmations(&settings, &server(Some("always"), Fsync::BeforeReply, 1));
        assert!(matches!(
            too_few,
            Err(LevelUnavailable::TooFewReplicas { connected: 1, .. })
        ));
    }
}
