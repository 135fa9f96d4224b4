//! docs/ecosystem.md says what is true: the versions are those that are compiled, and what runs a row exists and uses the
//! library.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The cells of the rows that have one for a version.
fn rows(page: &str) -> Vec<Vec<&str>> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split(" | ").map(str::trim).collect::<Vec<_>>()).filter(|row| row.len() > 3).collect()
}

/// The words of a text that are in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_versions_are_those_that_are_compiled() {
    let (page, lock) = (read("docs/ecosystem.md"), read("Cargo.lock"));
    let rows = rows(&page);
    assert!(rows.len() > 20, "{rows:?}");
    for row in rows {
        let name = quoted(row[0]).next().unwrap();
        let wanted = format!("name = \"{name}\"\nversion = \"{}.", row[1]);
        assert!(lock.contains(&wanted), "Cargo.lock has no {name} {}", row[1]);
    }
}

#[test]
fn what_runs_a_row_uses_its_library() {
    let page = read("docs/ecosystem.md");
    let script = [".ci/web", ".ci/web-pages", ".ci/web-sockets"].map(read).concat();
    for row in rows(&page) {
        let runners: Vec<&str> = quoted(row.last().unwrap()).collect();
        assert!(!runners.is_empty(), "nothing runs {}", row[0]);
        let name = quoted(row[0]).next().unwrap().replace('-', "_");
        for runner in runners {
            assert!(root().join(runner).is_file(), "{} is run by {runner}, which does not exist", row[0]);
            let is_used = !runner.ends_with(".rs") || read(runner).contains(&format!("{name}::"));
            assert!(is_used, "{runner} does not use {}", row[0]);
            if let Some(example) = runner.strip_prefix("examples-web/examples/") {
                let example = example.trim_end_matches(".rs").trim_end_matches("/main");
                assert!(script.contains(example), "no script runs {example}");
            }
        }
    }
}
