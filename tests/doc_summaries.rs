//! Public documentation is written for callers: the summary of an item is a verb phrase or a noun phrase that says what
//! the item does or is. This reads the sources and finds summaries that begin like half a sentence.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders of the library and of its macros.
const FOLDERS: [&str; 10] =
    ["io", "macros", "net", "process", "quinn", "runtime", "signal", "sync", "task", "time"];

/// The words that a summary must not begin with.
const BEGINNINGS: &[&str] = &[
    "Whether", "How ", "As [", "Those of", "Of ", "What ", "Who ", "Whose ", "By which", "That ", "In which",
];

/// Summaries that may begin so: their file, their first words, and the reason.
const ALLOWED: &[(&str, &str, &str)] = &[];

/// A doc comment, and the item below it.
struct Documented {
    file: String,
    line: usize,
    summary: String,
    item: String,
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Finds the doc comments of a source. The summary is the first paragraph; the item is the first line below the comment
/// and below the attributes of the item.
fn documented(file: &str, source: &str) -> Vec<Documented> {
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let Some(first) = lines[at].strip_prefix("/// ") else {
            at += 1;
            continue;
        };
        let line = at + 1;
        let mut summary = first.to_owned();
        let mut is_summary = true;
        at += 1;
        while let Some(text) = lines.get(at).and_then(|line| line.strip_prefix("///")) {
            is_summary &= !text.trim().is_empty();
            if is_summary {
                summary.push_str(text);
            }
            at += 1;
        }
        let mut depth = 0;
        while let Some(line) = lines.get(at).filter(|line| depth > 0 || line.starts_with("#[")) {
            depth += line.matches(['[', '(']).count() as i32 - line.matches([']', ')']).count() as i32;
            at += 1;
        }
        let item = lines.get(at).copied().unwrap_or_default().to_owned();
        found.push(Documented { file: file.to_owned(), line, summary, item });
    }
    found
}

fn all() -> Vec<Documented> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    FOLDERS.iter().for_each(|folder| files(&root.join(folder), &mut paths));
    paths.sort();
    let documented = paths.iter().flat_map(|path| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        documented(name, &fs::read_to_string(path).unwrap())
    });
    documented.collect()
}

#[test]
fn no_public_summary_begins_like_half_a_sentence() {
    let documented = all();
    let is_public = |item: &str| item.starts_with("pub ") || item.starts_with("macro_rules!");
    let public: Vec<_> = documented.iter().filter(|documented| is_public(&documented.item)).collect();
    assert!(
        public.len() > 400,
        "{} public items are documented: the test reads the wrong files",
        public.len()
    );
    let is_allowed = |documented: &Documented| {
        ALLOWED
            .iter()
            .any(|(file, words, _)| *file == documented.file && documented.summary.starts_with(words))
    };
    let wrong: Vec<_> = public
        .iter()
        .filter(|documented| BEGINNINGS.iter().any(|words| documented.summary.starts_with(words)))
        .filter(|documented| !is_allowed(documented))
        .map(|documented| format!("{}:{}: {}", documented.file, documented.line, documented.summary))
        .collect();
    assert!(wrong.is_empty(), "{} summaries to rewrite:\n{}", wrong.len(), wrong.join("\n"));
    for (file, words, _) in ALLOWED {
        let is_there = documented.iter().any(|found| found.file == *file && found.summary.starts_with(words));
        assert!(is_there, "{file} has no summary that begins with {words:?} any more");
    }
}

#[test]
fn the_reader_of_summaries_reads_right() {
    let source = "/// Whether it is\n/// so.\n///\n/// More.\n#[inline]\n#[cfg(all(\n    a,\n))]\npub fn is_so() {}\n\n    /// A field.\n    pub(crate) x: u8,\n";
    let found = documented("file.rs", source);
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].summary.as_str(), found[0].item.as_str()),
        ("Whether it is so.", "pub fn is_so() {}")
    );
    assert_eq!((found[1].summary.as_str(), found[1].line), ("A field.", 11));
}
