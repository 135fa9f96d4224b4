//! Copies a folder with everything in it, many files at once, with a progress bar.
//!
//! ```text
//! cargo run --release --example copy_tree -- FROM TO
//! cargo run --release --example copy_tree -- --at-once 8 FROM TO
//! ```
//!
//! Files are copied by the kernel (`fs::copy`), with their permissions. Symbolic links are copied as such, and files that
//! are neither, such as sockets, are left out. `TO` must not exist. The first error ends the copy, and what was copied
//! until then stays.
//!
//! A thread of the pool makes each call, so more files at once help as long as the disk has work left for them. Ctrl-C
//! ends the copy between two files.

use indicatif::{ProgressBar, ProgressStyle};
use runtime::fs;
use runtime::signal;
use runtime::task::JoinSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The number of files that are copied at once, unless it is given.
const AT_ONCE: usize = 32;

#[derive(Default)]
struct Tree {
    /// Each file with its length in bytes, by its path relative to the root.
    files: Vec<(PathBuf, u64)>,
    links: Vec<PathBuf>,
    /// The folders, each after the one that it is in.
    folders: Vec<PathBuf>,
    left_out: usize,
}

#[runtime::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (from, to, at_once) = match arguments[..] {
        [from, to] => (from, to, Ok(AT_ONCE)),
        ["--at-once", number, from, to] => (from, to, number.parse()),
        _ => ("", "", "".parse()),
    };
    let (Ok(at_once @ 1..), false) = (at_once, from.is_empty()) else {
        eprintln!("usage: copy_tree [--at-once FILES] FROM TO");
        return ExitCode::from(2);
    };
    let result = runtime::select! {
        result = copy_tree(Path::new(from), Path::new(to), at_once) => result,
        stop = signal::shutdown() => stop.and_then(|_| Err(io::Error::other("stopped; a part has been copied"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("copy_tree: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn copy_tree(from: &Path, to: &Path, at_once: usize) -> io::Result<()> {
    let tree = walk(from).await.map_err(|error| at(from, &error))?;
    for folder in &tree.folders {
        let folder = to.join(folder);
        fs::create_dir(&folder).await.map_err(|error| at(&folder, &error))?;
    }
    for link in &tree.links {
        fs::symlink(fs::read_link(from.join(link)).await?, to.join(link)).await?;
    }
    let bar = ProgressBar::new(tree.files.iter().map(|(_, length)| length).sum());
    bar.set_style(style());
    let mut copies = JoinSet::new();
    let mut count = 0;
    let mut files = tree.files.into_iter();
    loop {
        while copies.len() < at_once
            && let Some((file, length)) = files.next()
        {
            let (source, target) = (from.join(&file), to.join(file));
            copies.spawn(async move {
                fs::copy(&source, target).await.map_err(|error| at(&source, &error))?;
                io::Result::Ok(length)
            });
        }
        let Some(copied) = copies.join_next().await else { break };
        bar.inc(copied??);
        count += 1;
        bar.set_message(format!("{count} files"));
    }
    bar.finish();
    if tree.left_out > 0 {
        eprintln!("left out: {} that are neither files nor folders nor links", tree.left_out);
    }
    Ok(())
}

/// Lists everything in a folder.
async fn walk(root: &Path) -> io::Result<Tree> {
    let mut tree = Tree { folders: vec![PathBuf::new()], ..Tree::default() };
    let mut next = 0;
    while let Some(folder) = tree.folders.get(next).cloned() {
        next += 1;
        let mut entries = fs::read_dir(root.join(&folder)).await?;
        while let Some(entry) = entries.next_entry().await? {
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().await?;
            if kind.is_dir() {
                tree.folders.push(path);
            } else if kind.is_file() {
                tree.files.push((path, entry.metadata().await?.len()));
            } else if kind.is_symlink() {
                tree.links.push(path);
            } else {
                tree.left_out += 1;
            }
        }
    }
    Ok(tree)
}

fn style() -> ProgressStyle {
    let template = "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {msg}";
    ProgressStyle::with_template(template).expect("the template has no mistake")
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
