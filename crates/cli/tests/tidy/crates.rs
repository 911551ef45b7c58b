//! The table of crates in the architecture lists the dependencies that Cargo.toml has.

use std::collections::BTreeSet;

#[test]
fn crates_depend_on_what_the_architecture_says() {
    let files = crate::files("docs", "/architecture.md");
    crate::assert_none(problems(
        &files[0].1,
        &crate::files("crates", "/Cargo.toml"),
    ));
}

type Row = (String, BTreeSet<String>);

fn problems(page: &str, manifests: &[(String, String)]) -> Vec<String> {
    let name = crate::regex("`([a-z]+)`");
    let names = |cell: &str| {
        name.captures_iter(cell)
            .map(|it| it[1].to_owned())
            .collect()
    };
    let rows = crate::regex(r"(?m)^\| `([a-z]+)` \|[^|]+\|([^|]+)\|[^|]+\|$");
    let table: BTreeSet<Row> = rows
        .captures_iter(page)
        .map(|row| (row[1].to_owned(), names(&row[2])))
        .collect();
    let actual: BTreeSet<Row> = manifests.iter().map(dependencies).collect();
    let differing = table.symmetric_difference(&actual);
    let problem = |row| {
        let in_table = table.contains(row);
        let place = if in_table { "the table" } else { "Cargo.toml" };
        format!("only in {place}: {row:?}")
    };
    differing.map(problem).collect()
}

fn dependencies((path, text): &(String, String)) -> Row {
    let manifest: toml::Table = text.parse().unwrap();
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    let names = dependencies.into_iter().flat_map(toml::Table::keys);
    let ours = names
        .filter_map(|name| name.strip_prefix("harkara-"))
        .map(str::to_owned);
    (path.split('/').nth(1).unwrap().to_owned(), ours.collect())
}

#[test]
fn a_difference_is_found() {
    let page = "| `x` | … | `y`, `z` | – |\n| `y` | `x` | nothing | – |\n";
    let found = |page: &str, of_x: &str| {
        let manifest =
            |name: &str, text: &str| (format!("crates/{name}/Cargo.toml"), text.to_owned());
        problems(
            page,
            &[
                manifest("x", of_x),
                manifest("y", "[dev-dependencies]\nharkara-x = '1'"),
            ],
        )
        .len()
    };
    let of_x =
        "[dependencies]\nharkara-y.workspace = true\nharkara-z = { path = '.' }\nserde = '1'";
    assert_eq!(found(page, of_x), 0);
    assert_eq!(found(page, "[dependencies]\nharkara-y.workspace = true"), 2);
    assert_eq!(
        found(&format!("{page}| `gone` | … | nothing | – |"), of_x),
        1
    );
    assert_eq!(found("", of_x), 2);
}
