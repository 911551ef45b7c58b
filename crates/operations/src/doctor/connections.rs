//! Whether PostgreSQL allows as many connections as all processes together may open.

use harkara_settings::Settings;
use harkara_storage::inspection::ServerState;

use super::finding::{Area, Finding, Status};

/// Connections of an ingress besides those of its inbox: one, for the check of the schema.
const BESIDES_THE_INBOX: u64 = 1;

/// Connections of an operator's command.
const OF_A_COMMAND: u64 = 2;

/// How many processes run with these settings.
#[derive(Clone, Copy, Debug)]
pub struct Processes {
    /// Ingresses.
    pub ingresses: u16,
    /// Workers.
    pub workers: u16,
}

/// Compares the connections that the processes may open with those allowed.
pub(super) fn judged(state: &ServerState, settings: &Settings, processes: Processes) -> Finding {
    let Processes { ingresses, workers } = processes;
    let needed = needed(settings, processes);
    let allowed = u64::from(state.connections_allowed());
    let others = u64::try_from(state.other_connections).unwrap_or(0);
    let status = if needed > allowed {
        Status::Problem
    } else if needed + others > allowed {
        Status::Warning
    } else {
        Status::Ok
    };
    Area::Postgres.check("connections").judged(
        status,
        format!(
            "{ingresses} × ingress and {workers} × worker may open {needed} in all, {allowed} are allowed, and others have \
             {others} open",
        ),
        "raise max_connections (or the limit of the role or the database), or lower postgres.pool_max and \
         ingress.inbox_connections_max",
    )
}

/// The same for connections to a pooler, whose limit only it knows.
pub(super) fn to_pooler(settings: &Settings, processes: Processes) -> Finding {
    let Processes { ingresses, workers } = processes;
    let needed = needed(settings, processes);
    Area::Postgres.check("connections").ok(format!(
        "{ingresses} × ingress and {workers} × worker may open {needed} in all to the pooler, which must allow as many \
         clients"
    ))
}

fn needed(settings: &Settings, processes: Processes) -> u64 {
    let each = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let ingress = each(settings.ingress.inbox_connections_max).saturating_add(BESIDES_THE_INBOX);
    let ingresses = u64::from(processes.ingresses).saturating_mul(ingress);
    let workers = u64::from(processes.workers).saturating_mul(each(settings.postgres.pool_max));
    ingresses
        .saturating_add(workers)
        .saturating_add(OF_A_COMMAND)
}

#[cfg(test)]
mod tests {
    use super::super::postgres::tests::sound;
    use super::*;

    #[test]
    fn pools_are_added_up_over_all_processes_and_the_limit_of_the_role_counts() {
        // By default a worker opens 8, an ingress 3, and a command 2.
        let settings = Settings::from_pairs::<&str, &str>([]).unwrap();
        for (ingresses, workers, other_connections, role_connections_max, status) in [
            (1, 1, 0, -1, Status::Ok),
            (3, 10, 0, -1, Status::Ok),
            (3, 10, 7, -1, Status::Warning),
            (3, 11, 0, -1, Status::Problem),
            (1, 1, 0, 10, Status::Problem),
        ] {
            let state = ServerState {
                other_connections,
                role_connections_max,
                ..sound()
            };
            let processes = Processes { ingresses, workers };
            let finding = judged(&state, &settings, processes);
            assert_eq!(finding.status, status, "{finding:?}");
        }
    }
}
