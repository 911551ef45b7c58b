//! What the migrations make: the schema's version, its indexes, its partitions.

use harkara_storage::Pool;
use harkara_storage::inspection::{
    self, Index, IndexProblem, Partitions, index_problems, partitions,
};
use harkara_storage::migrations::{self, SchemaState};

use super::finding::{Area, Finding};
use super::postgres::unknown;
use super::probe::within;

const AREA: Area = Area::Schema;

/// Looks at the schema. What the migrations have not made yet is not looked for.
pub(super) async fn examine(pool: &Pool) -> Vec<Finding> {
    let state = match within(migrations::check(pool)).await {
        Ok(state) => state,
        Err(reason) => return vec![unknown("version", &reason)],
    };
    if let Some(fault) = state.problem() {
        return vec![AREA.problem("version", fault, state.remedy())];
    }
    let newest = within(inspection::newest_applied(pool)).await;
    let mut findings = vec![version(&state, newest.ok().flatten().as_deref())];
    findings.extend(match within(index_problems(pool)).await {
        Ok(faults) => of_indexes(&faults),
        Err(reason) => vec![unknown("indexes", &reason)],
    });
    findings.extend(match within(partitions(pool)).await {
        Ok(partitions) => of_partitions(&partitions),
        Err(reason) => vec![unknown("partitions", &reason)],
    });
    findings
}

fn version(state: &SchemaState, newest_applied: Option<&str>) -> Finding {
    debug_assert_eq!(*state, SchemaState::Fits);
    let known = migrations::newest();
    AREA.ok(
        "version",
        match newest_applied {
            Some(applied) if applied > known.as_str() => {
                format!("{applied}; this binary knows up to {known} and may run on it")
            }
            _ => format!("{known}, as this binary needs it"),
        },
    )
}

fn of_indexes(faults: &[IndexProblem]) -> Vec<Finding> {
    if faults.is_empty() {
        return vec![AREA.ok("indexes", "all are there and can be used")];
    }
    faults.iter().map(of_index).collect()
}

fn of_index(fault: &IndexProblem) -> Finding {
    let check = "indexes";
    let remedy = "make it again as in the file of migrations/ that has its name";
    match fault {
        IndexProblem::Missing(Index { table, name, is_unique: true })
        | IndexProblem::NotUnique(Index { table, name, .. }) => AREA.problem(
            check,
            format!("{name} of {table} does not keep a value from being there twice, or is missing: commits fail, or an event takes effect twice"),
            remedy,
        ),
        IndexProblem::Missing(Index { table, name, .. }) => AREA.problem(
            check,
            format!("{name} of {table} is missing: statements that rely on it read the whole table"),
            remedy,
        ),
        IndexProblem::Invalid { table, name } => AREA.problem(
            check,
            format!("{name} of {table} is INVALID: it costs every write and serves no query"),
            "REINDEX it (CONCURRENTLY while workers run), or attach what a partition lacks; drop it if it is not ours",
        ),
    }
}

fn of_partitions(found: &Partitions) -> Vec<Finding> {
    let check = "partitions";
    let mut findings = Vec::new();
    if found.missing.is_empty() {
        let months = migrations::PARTITION_MONTHS_AHEAD;
        findings.push(AREA.ok(
            check,
            format!("this month's are there, and those of {months} months ahead"),
        ));
    } else {
        findings.push(AREA.warning(
            check,
            format!("missing: {}; rows of these months go to the default partition", found.missing.join(", ")),
            "run `harkara migrate`; a worker makes them too, twice a day, and its log tells why it does not",
        ));
    }
    findings.extend(found.defaults_in_use.iter().map(|table| {
        AREA.warning(
            check,
            format!("{table} holds rows, of months that had no partition when they came"),
            "run `harkara migrate`, which moves those of last month and later; older ones, or of a clock that was \
             wrong, can stay",
        )
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn each_fault_of_an_index_is_a_problem_of_its_own() {
        let index = |is_unique| Index {
            table: "t",
            name: "t_i",
            is_unique,
        };
        let faults = [
            IndexProblem::Missing(index(true)),
            IndexProblem::Missing(index(false)),
            IndexProblem::NotUnique(index(true)),
            IndexProblem::Invalid {
                table: "t".to_owned(),
                name: "t_i".to_owned(),
            },
        ];
        let findings = of_indexes(&faults);
        assert_eq!(findings.len(), faults.len());
        for finding in findings {
            assert_eq!(finding.status, Status::Problem);
            assert!(finding.found.contains("t_i of t"), "{finding:?}");
        }
        assert_eq!(of_indexes(&[])[0].status, Status::Ok);
    }

    #[test]
    fn partitions_that_a_worker_makes_by_itself_are_only_warned_of() {
        let found = Partitions {
            missing: vec!["webhook_events_2026_12".to_owned()],
            defaults_in_use: vec!["audit_logs_default".to_owned()],
        };
        let findings = of_partitions(&found);
        let statuses: Vec<_> = findings.iter().map(|finding| finding.status).collect();
        assert_eq!(statuses, [Status::Warning, Status::Warning]);
        assert_eq!(of_partitions(&Partitions::default())[0].status, Status::Ok);
    }

    #[test]
    fn a_schema_that_has_moved_on_and_still_fits_is_told_with_both_versions() {
        let told = version(&SchemaState::Fits, Some("29990101000001")).found;
        assert!(
            told.contains("29990101000001") && told.contains(&migrations::newest()),
            "{told}"
        );
    }
}
