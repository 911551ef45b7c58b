//! Whether PostgreSQL allows as many connections as all processes together may open.

use harkara_settings::Settings;
use harkara_storage::inspection::ServerState;

use super::finding::{Area, Finding};

const AREA: Area = Area::Postgres;

/// What an ingress opens besides those of its inbox: it asks for the schema.
const BESIDES_THE_INBOX: u32 = 1;

/// What a command of an operator opens at most.
const OF_A_COMMAND: u32 = 2;

/// How many processes run with these settings.
#[derive(Clone, Copy, Debug)]
pub struct Processes {
    /// Ingresses.
    pub ingresses: u16,
    /// Workers.
    pub workers: u16,
}

/// Compares what they may open with what is allowed.
pub(super) fn judged(state: &ServerState, settings: &Settings, processes: Processes) -> Finding {
    let check = "connections";
    let Processes { ingresses, workers } = processes;
    let needed = needed(settings, processes);
    let allowed = u64::from(state.connections_allowed());
    let others = u64::try_from(state.other_connections).unwrap_or(0);
    let told = format!(
        "{ingresses} × ingress and {workers} × worker may open {needed} in all, {allowed} are allowed, and others have \
         {others} open",
    );
    let remedy = "raise max_connections (or the limit of the role or the database), or lower postgres.pool_max and \
                  ingress.inbox_connections_max";
    if needed > allowed {
        return AREA.problem(check, told, remedy);
    }
    if needed + others > allowed {
        return AREA.warning(check, told, remedy);
    }
    AREA.ok(check, told)
}

fn needed(settings: &Settings, processes: Processes) -> u64 {
    let each = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let inbox = each(settings.ingress.inbox_connections_max);
    let ingress = inbox.saturating_add(BESIDES_THE_INBOX.into());
    let worker = each(settings.postgres.pool_max);
    u64::from(processes.ingresses)
        .saturating_mul(ingress)
        .saturating_add(u64::from(processes.workers).saturating_mul(worker))
        .saturating_add(OF_A_COMMAND.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::finding::Status;
    use super::super::postgres::tests::sound;
    use super::*;

    #[test]
    fn pools_are_added_up_over_all_processes() {
        // By default a worker opens 8, an ingress 3, and a command 2.
        let settings = Settings::from_map(BTreeMap::new()).unwrap();
        for (ingresses, workers, others, status) in [
            (1, 1, 0, Status::Ok),
            (3, 10, 0, Status::Ok),
            (3, 10, 7, Status::Warning),
            (3, 11, 0, Status::Problem),
        ] {
            let state = ServerState {
                other_connections: others,
                ..sound()
            };
            let processes = Processes { ingresses, workers };
            let finding = judged(&state, &settings, processes);
            assert_eq!(finding.status, status, "{finding:?}");
        }
    }

    #[test]
    fn a_bound_of_the_role_counts() {
        let settings = Settings::from_map(BTreeMap::new()).unwrap();
        let state = ServerState {
            role_connections_max: 10,
            ..sound()
        };
        let processes = Processes {
            ingresses: 1,
            workers: 1,
        };
        assert_eq!(judged(&state, &settings, processes).status, Status::Problem);
    }
}
