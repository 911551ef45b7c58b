//! How a level of durability is reached on the server that there is.

use harkara_core::durability::Durability;
use harkara_core::lane::{LANES, Lane};

use crate::server_check::{Fsync, ServerReport};
use harkara_settings::IngressSettings;

/// What confirms that an append has its level of durability, beyond the answer to the append itself: what
/// the server says to further commands, once for a group of appends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Confirmation {
    /// `WAITAOF`: it is on the server's disk.
    pub fsync: bool,
    /// `WAIT`: that many replicas have it; 0 where none need to.
    pub replicas: usize,
}

/// The level of each lane, and what confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmations {
    levels: [Durability; LANES],
    by_lane: [Confirmation; LANES],
    /// Whether the server writes to disk before it answers, so that it pays to group appends.
    pub fsyncs_before_answer: bool,
}

/// A level that the server cannot give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelNotGiven {
    /// It does not write to disk before it answers, nor can it be asked whether it has.
    #[error(
        "the lane {lane} is to be {level}, and Redis at {address} does not confirm that a delivery is on its disk ({why}): set appendonly yes, appendfsync always and no-appendfsync-on-rewrite no, or use appendfsync everysec with Redis 7.2, or 8.0 or later (7.4 and Valkey tell too early that they have fsynced); or ask for less with ingress.durability=appended (HARKARA__INGRESS__DURABILITY), or trust Redis with ingress.trust_redis=true"
    )]
    NotFsynced {
        /// The lane.
        lane: Lane,
        /// Its level.
        level: Durability,
        /// `host:port`.
        address: String,
        /// What the server has instead.
        why: String,
    },
    /// It has too few replicas.
    #[error(
        "the lane {lane} is to be replicated to {wanted}, and Redis at {address} has {connected} connected: start replicas, or ask for fewer with ingress.replicas_min, or for less with ingress.durability"
    )]
    TooFewReplicas {
        /// The lane.
        lane: Lane,
        /// `host:port`.
        address: String,
        /// Replicas asked for.
        wanted: usize,
        /// Replicas connected.
        connected: usize,
    },
}

impl Confirmation {
    /// Nothing but the answer to the append.
    pub const ANSWER: Self = Self {
        fsync: false,
        replicas: 0,
    };
}

impl Confirmations {
    /// What confirms the levels of the settings on a server; `Err` names one that it cannot give.
    pub fn of(settings: &IngressSettings, server: &ServerReport) -> Result<Self, LevelNotGiven> {
        let mut by_lane = [Confirmation::ANSWER; LANES];
        for lane in Lane::ALL {
            let level = settings.durability[lane.index()];
            by_lane[lane.index()] = confirmation(lane, level, settings, server)?;
        }
        Ok(Self {
            levels: settings.durability,
            by_lane,
            fsyncs_before_answer: fsyncs_before_answer(server),
        })
    }

    /// The level that an append to a lane has once it is confirmed.
    #[must_use]
    pub fn level(&self, lane: Lane) -> Durability {
        self.levels[lane.index()]
    }

    /// Whether appends of any lane go in groups.
    #[must_use]
    pub fn are_grouped(&self) -> bool {
        self.fsyncs_before_answer || self.by_lane != [Confirmation::ANSWER; LANES]
    }

    /// Whether appends of any lane wait for an fsync.
    #[must_use]
    pub fn wait_for_fsync(&self) -> bool {
        self.by_lane.iter().any(|confirmation| confirmation.fsync)
    }

    /// What confirms an append to a lane.
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
) -> Result<Confirmation, LevelNotGiven> {
    if level == Durability::Appended {
        return Ok(Confirmation::ANSWER);
    }
    let fsync = match server.fsync {
        Fsync::BeforeAnswer => false,
        Fsync::WhenAsked => true,
        Fsync::Unconfirmed if settings.trust_redis => false,
        Fsync::Unconfirmed => {
            return Err(LevelNotGiven::NotFsynced {
                lane,
                level,
                address: server.address.clone(),
                why: why_not_fsynced(server),
            });
        }
    };
    let replicas = match level {
        Durability::Replicated => settings.replicas_min,
        _ => 0,
    };
    if server.replicas < replicas {
        return Err(LevelNotGiven::TooFewReplicas {
            lane,
            address: server.address.clone(),
            wanted: replicas,
            connected: server.replicas,
        });
    }
    Ok(Confirmation { fsync, replicas })
}

fn why_not_fsynced(server: &ServerReport) -> String {
    let version = &server.version;
    match server.appendfsync.as_deref() {
        Some("always") => {
            format!("appendfsync always with no-appendfsync-on-rewrite yes, version {version}")
        }
        Some(policy) => format!("appendfsync {policy}, version {version}"),
        None => "its append-only file is off, or it does not tell".to_owned(),
    }
}

fn fsyncs_before_answer(server: &ServerReport) -> bool {
    server.appendfsync.as_deref() == Some("always")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Confirmation, Confirmations, Fsync, LevelNotGiven, ServerReport};
    use harkara_core::lane::Lane;
    use harkara_settings::{IngressSettings, Settings};

    fn settings(changed: &[(&str, &str)]) -> IngressSettings {
        let map: BTreeMap<String, String> = changed
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Settings::from_map(map).unwrap().ingress
    }

    fn server(appendfsync: Option<&str>, fsync: Fsync, replicas: usize) -> ServerReport {
        ServerReport {
            address: "h:1".to_owned(),
            version: "7.0.15".to_owned(),
            appendfsync: appendfsync.map(str::to_owned),
            fsync,
            replicas,
            memory_bytes: (0, 0),
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_server_that_fsyncs_before_it_answers_needs_no_further_question() {
        let confirmations = Confirmations::of(
            &settings(&[]),
            &server(Some("always"), Fsync::BeforeAnswer, 0),
        )
        .unwrap();
        assert_eq!(
            confirmations.confirmation(Lane::Default),
            Confirmation::ANSWER
        );
    }

    #[test]
    fn fsyncs_of_every_second_are_waited_for_where_the_server_tells_of_them() {
        let confirmations = Confirmations::of(
            &settings(&[]),
            &server(Some("everysec"), Fsync::WhenAsked, 0),
        )
        .unwrap();
        assert_eq!(
            confirmations.confirmation(Lane::Critical),
            Confirmation {
                fsync: true,
                replicas: 0
            }
        );
        let older = Confirmations::of(
            &settings(&[]),
            &server(Some("everysec"), Fsync::Unconfirmed, 0),
        );
        assert!(matches!(older, Err(LevelNotGiven::NotFsynced { .. })));
    }

    #[test]
    fn a_level_that_is_not_given_is_refused_unless_redis_is_trusted() {
        for appendfsync in [None, Some("no"), Some("everysec")] {
            let server = server(appendfsync, Fsync::Unconfirmed, 0);
            let refused = Confirmations::of(&settings(&[]), &server).unwrap_err();
            assert!(refused.to_string().contains("appendfsync always"));
            Confirmations::of(&settings(&[("ingress.trust_redis", "true")]), &server).unwrap();
            Confirmations::of(&settings(&[("ingress.durability", "appended")]), &server).unwrap();
        }
    }

    #[test]
    fn each_lane_has_its_own_level() {
        let settings = settings(&[
            ("ingress.durability", "appended"),
            ("durability.critical", "replicated"),
            ("ingress.replicas_min", "2"),
        ]);
        let confirmations =
            Confirmations::of(&settings, &server(Some("always"), Fsync::BeforeAnswer, 2)).unwrap();
        assert_eq!(
            confirmations.confirmation(Lane::Default),
            Confirmation::ANSWER
        );
        assert_eq!(
            confirmations.confirmation(Lane::Critical),
            Confirmation {
                fsync: false,
                replicas: 2
            }
        );
        let too_few = Confirmations::of(&settings, &server(Some("always"), Fsync::BeforeAnswer, 1));
        assert!(matches!(
            too_few,
            Err(LevelNotGiven::TooFewReplicas { connected: 1, .. })
        ));
    }
}
