//! The schema's version, its indexes, tables and partitions.

use harkara_storage::Pool;
use harkara_storage::grants::Process;
use harkara_storage::inspection::{
    self, Index, IndexProblem, Partitions, index_problems, partitions,
};
use harkara_storage::migrations;
use harkara_storage::partitions::MONTHS_AHEAD;

use super::finding::{Area, Finding};
use super::postgres::unanswered;
use super::probe::within;
use super::tables;

const AREA: Area = Area::Schema;

/// Checks the schema. Without the migrations, only its version.
pub(super) async fn examine(pool: &Pool, process: Process) -> Vec<Finding> {
    let state = match within(migrations::check(pool)).await {
        Ok(state) => state,
        Err(reason) => return vec![unanswered(AREA.check("version"), &reason)],
    };
    if let Some(problem) = state.problem() {
        return vec![AREA.check("version").problem(problem, state.remedy())];
    }
    let newest = within(inspection::newest_applied(pool)).await;
    let mut findings = vec![version(newest.ok().flatten().as_deref())];
    findings.extend(match within(index_problems(pool)).await {
        Ok(problems) => of_indexes(&problems),
        Err(reason) => vec![unanswered(AREA.check("indexes"), &reason)],
    });
    findings.extend(tables::examine(pool, process).await);
    findings.extend(match within(partitions(pool)).await {
        Ok(mut partitions) => {
            if process == Process::Ingress {
                // It has nothing to do with them.
                partitions.rights_missing.clear();
            }
            of_partitions(&partitions)
        }
        Err(reason) => vec![unanswered(AREA.check("partitions"), &reason)],
    });
    findings
}

fn version(newest_applied: Option<&str>) -> Finding {
    let known = migrations::newest();
    AREA.check("version").ok(match newest_applied {
        Some(applied) if applied > known.as_str() => {
            format!("{applied}; this binary knows versions up to {known} and may run on it")
        }
        _ => format!("{known}, as this binary needs it"),
    })
}

fn of_indexes(problems: &[IndexProblem]) -> Vec<Finding> {
    if problems.is_empty() {
        return vec![AREA.check("indexes").ok("all exist and are valid")];
    }
    problems.iter().map(of_index).collect()
}

fn of_index(problem: &IndexProblem) -> Finding {
    let check = AREA.check("indexes");
    let remedy = "recreate it as in the file of migrations/ that contains its name";
    match problem {
        IndexProblem::Missing(Index { table, name, is_unique: true })
        | IndexProblem::NotUnique(Index { table, name, .. }) => check.problem(
            format!("{name} of {table} is missing or not unique: commits fail, or an event takes effect twice"),
            remedy,
        ),
        IndexProblem::Missing(Index { table, name, .. }) => check.problem(
            format!("{name} of {table} is missing: statements that rely on it read the whole table"),
            remedy,
        ),
        IndexProblem::Invalid { table, name } => check.problem(
            format!("{name} of {table} is INVALID: it costs every write and serves no query"),
            "REINDEX it (CONCURRENTLY while workers run), or attach the missing index of a partition; drop it if it is not Harkara's",
        ),
    }
}

fn of_partitions(found: &Partitions) -> Vec<Finding> {
    let check = || AREA.check("partitions");
    let mut findings = vec![if found.missing.is_empty() {
        check().ok(format!(
            "this month's and those of the next {MONTHS_AHEAD} months exist"
        ))
    } else {
        check().warning(
            format!(
                "missing: {}; rows of these months go to the default partition",
                found.missing.join(", ")
            ),
            "run `harkara migrate`; workers also try to add them every hour, and log why they cannot",
        )
    }];
    findings.extend(found.defaults_in_use.iter().flatten().map(|table| {
        check().warning(
            format!("{table} holds rows of months that had no partition when they arrived"),
            "run `harkara migrate`, which gives them partitions; workers also try to, and log why they cannot",
        )
    }));
    let are_unused = found.defaults_in_use.as_ref().is_some_and(Vec::is_empty);
    let is_kept_up = found.missing.is_empty() && are_unused;
    findings.extend(found.rights_missing.iter().map(|right| {
        if is_kept_up {
            return check().ok(format!(
                "another role keeps them up with `harkara migrate`: this one lacks {right}"
            ));
        }
        check().warning(
            format!("partitions cannot be kept up: the role of postgres.url lacks {right}"),
            "grant the role that, or run `harkara migrate` at least once a month as a role that has it",
        )
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn an_index_that_is_not_unique_is_a_problem() {
        let index = Index {
            table: "t",
            name: "t_i",
            is_unique: true,
        };
        let finding = of_index(&IndexProblem::NotUnique(index));
        assert_eq!(finding.status, Status::Problem);
        assert!(finding.found.contains("t_i of t"), "{finding:?}");
    }

    #[test]
    fn a_newer_schema_that_fits_is_reported_with_both_versions() {
        let found = version(Some("29990101000001")).found;
        let both = ["29990101000001", &migrations::newest()];
        assert!(
            both.iter().all(|version| found.contains(version)),
            "{found}"
        );
    }
}
