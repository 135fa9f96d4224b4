//! The layers: which module may name which. A module names only its own layer and those below it, so that each part
//! can be understood, and tested, without what is built on it. This file also says where `unsafe` may be.
//!
//! Read from the source: comments, strings and tests are left out; `crate::` and `super::` are
//! followed, also through braces.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::iter::successors;
use std::path::{Path, PathBuf};

/// The folders of the library.
const FOLDERS: [&str; 12] = [
    "fs",
    "hyper",
    "io",
    "net",
    "process",
    "quinn",
    "runtime",
    "signal",
    "sync",
    "task",
    "time",
    "tokio_context",
];

/// The modules that the files below a path may name, besides those of their own folder. The longest matching path
/// counts.
const MAY_NAME: &[(&str, &[&str])] = &[
    // On top, beside `net`: traits and helpers, most of them from elsewhere.
    (
        "io",
        &[
            "net",
            "runtime::context",
            "runtime::io::interest",
            "runtime::io::buffer_pool",
            "runtime::mutex",
            "runtime::io::reactor",
            "runtime::io::registered",
            "runtime::unwind",
            "runtime::waker",
            "task",
            "time",
        ],
    ),
    // Beside `net`: calls on the blocking pool.
    (
        "fs",
        &[
            "io::tokio_traits",
            "net::fd_traits",
            "runtime::context",
            "runtime::join::spawn",
            "runtime::mutex",
            "runtime::remote::blocking",
            "runtime::remote::blocking_call",
            "runtime::selector::Process",
            "runtime::unwind",
            "task",
        ],
    ),
    // A runtime of tokio, which is not ours. Only fork(2) concerns it.
    ("tokio_context", &["runtime::mutex", "runtime::selector::Process", "runtime::unwind"]),
    // Above `net`: hyper, and a server of HTTP.
    ("hyper", &["io", "net", "runtime::waker", "task", "time"]),
    // Above `net` and `signal`, from which it has pipes and `SIGCHLD`.
    (
        "process",
        &[
            "io",
            "net::fd_traits",
            "net::unix::pipe",
            "runtime::context",
            "runtime::io::reactor",
            "runtime::io::registered",
            "runtime::mutex",
            "runtime::selector::Process",
            "signal::unix",
            "task",
        ],
    ),
    // Above `net`, `task` and `time`. Its socket is a descriptor that waits as those of `net` do.
    ("quinn", &["net", "runtime::Handle", "runtime::io::reactor", "runtime::io::registered", "task", "time"]),
    // Beside `net`. The handler makes a descriptor readable, as a notifier does.
    (
        "signal",
        &[
            "runtime::context",
            "runtime::io::reactor",
            "runtime::io::registered",
            "runtime::selector::NotifierFd",
            "runtime::selector::Process",
            "task",
        ],
    ),
    // The lowest layer.
    ("task/coop", &[]),
    (
        "task/branches",
        &[
            "runtime::context",
            "runtime::rng",
            "task::coop",
            // An exported macro is named by the root of the crate, wherever it is defined.
            "__branch_list",
            "__join_branches",
            "__join_expand",
            "__join_misuse",
            "__pinned_field",
            "__select_branches",
            "__select_expand",
            "pin",
        ],
    ),
    ("task/origin.rs", &[]),
    ("task/origin_disabled.rs", &[]),
    ("task/outside.rs", &["task::origin"]),
    ("task/yield_now.rs", &[]),
    ("task/id.rs", &["runtime::context"]),
    (
        "task/local_set.rs",
        &[
            "runtime::Runtime",
            "runtime::context",
            "runtime::join::spawn",
            "runtime::unwind",
            "runtime::waker",
            "task",
        ],
    ),
    ("task/abort_on_drop.rs", &["task"]),
    // The paths that the macro emits.
    ("task/local_key.rs", &["task::LocalKey", "task_local"]),
    (
        "task/tracker.rs",
        &["runtime::Handle", "runtime::join::spawn", "runtime::mutex", "runtime::waker", "task"],
    ),
    ("task/scope", &["runtime::mutex", "runtime::unwind", "runtime::waker", "task::coop"]),
    (
        "task/group",
        &[
            "runtime::Handle",
            "runtime::join",
            "runtime::join::error",
            "runtime::join::spawn",
            "runtime::mutex",
            "runtime::unwind",
            "runtime::waker",
            "task",
        ],
    ),
    (
        "task/mod.rs",
        &[
            "task::local_key",
            "task::tracker",
            "runtime::join",
            "runtime::join::error",
            "runtime::join::spawn",
        ],
    ),
    // Local channels and locks know wakers and the budget, and neither the loop nor timers.
    ("sync", &["runtime::unwind", "runtime::waker", "task::coop"]),
    ("sync/mpsc/bounded.rs", &["sync", "time"]),
    // Timers find their driver by a thread-local of their own, and never name the runtime.
    ("time", &["task::coop", "task::origin", "task::outside"]),
    // The multiplexers know neither wakers nor tasks.
    ("runtime/selector", &["runtime::io::interest"]),
    (
        "runtime",
        &["task::Id", "task::coop", "task::origin", "task::outside", "time::Driver", "time::RemoteTimer"],
    ),
    // The timeouts of streams are a kind of timer, also on threads without a runtime.
    (
        "runtime/io/outside",
        &[
            "runtime::context",
            "runtime::id",
            "runtime::mutex",
            "runtime::io::reactor",
            "runtime::io::registration",
            "runtime::remote",
            "runtime::selector::Process",
            "runtime::waker",
            "time",
        ],
    ),
    (
        "runtime/io/io_timeouts.rs",
        &[
            "runtime::context",
            "runtime::id",
            "runtime::mutex",
            "runtime::io::reactor",
            "runtime::executor::tasks",
            "runtime::waker",
            "time",
        ],
    ),
    (
        "net",
        &[
            "runtime::context",
            "runtime::io::interest",
            "runtime::io::reactor",
            "runtime::io::registered",
            "runtime::unwind",
            "runtime::waker",
            "task",
            "time",
        ],
    ),
];

/// The layers of `runtime/`, from the lowest. A file names modules of its own layer and of those below.
const RUNTIME: &[&[&str]] = &[
    &[
        "enter_stack",
        "executor::slow_polls",
        "executor::time_slice",
        "id",
        "io::buffer_pool",
        "io::interest",
        "io::throttle",
        "metrics",
        "mutex",
        "remote::park_state",
        "rng",
        "selector",
        "slots",
        "unwind",
        "writes",
        "writes_unsupported",
    ],
    &["executor::run_queue", "executor::task_ref"],
    &[
        "executor::free_lists",
        "executor::task",
        "executor::tasks",
        "io::reactor",
        "join::error",
        "remote",
        "remote::blocking",
        "remote::registry",
    ],
    &["io::contention"],
    &["context", "remote::blocking_call", "waker"],
    &[
        "io::io_timeouts",
        "io::outside",
        "io::readiness",
        "io::registered",
        "io::registration",
        "io::source_cell",
        "join",
        "join::packet",
        "join::spawn",
    ],
    &["builder", "enter", "executor", "executor::guest", "guest", "handle", "local"],
    &["cores"],
];

/// Bans: a file or folder, and the modules that it must not name. Some of them are of the same layer.
const MUST_NOT_NAME: &[(&str, &[&str])] = &[
    // Tasks and sources meet in `Waker`.
    (
        "runtime/io/reactor",
        &[
            "runtime::executor::task",
            "runtime::executor::tasks",
            "runtime::waker",
            "runtime::join::error",
            "task",
            "time",
        ],
    ),
    ("runtime/executor/task.rs", &["runtime::io::reactor", "runtime::remote", "runtime::selector", "time"]),
    ("runtime/executor/tasks.rs", &["runtime::io::reactor", "runtime::remote", "runtime::selector", "time"]),
    (
        "runtime/remote/mod.rs",
        &["runtime::executor::tasks", "runtime::executor::task", "runtime::io::reactor", "task", "time"],
    ),
    (
        "runtime/remote/blocking.rs",
        &[
            "runtime::executor::tasks",
            "runtime::executor::task",
            "runtime::io::reactor",
            "runtime::remote",
            "task",
            "time",
        ],
    ),
    // A descriptor stores wakers, and does not know which tasks they belong to.
    ("runtime/io/registered", &["runtime::executor::task", "runtime::executor::tasks", "time"]),
    // The headers of the kernel are built from descriptions, not from what users see.
    (
        "net/udp/sys",
        &[
            "net::UdpSocket",
            "net::udp::Batch",
            "net::udp::Outgoing",
            "net::udp::UdpSocket",
            "net::udp::batch",
            "net::udp::outgoing",
            "net::udp::socket",
        ],
    ),
    // Only the executor turns the loop.
    ("process", &["runtime::executor", "runtime::executor::tasks", "runtime::remote"]),
    ("signal", &["runtime::executor", "runtime::executor::tasks", "runtime::remote"]),
    ("fs", &["net::async_fd", "net::tcp", "net::udp", "net::unix", "runtime::executor", "runtime::io"]),
    ("net", &["runtime::executor", "runtime::selector", "runtime::executor::tasks", "runtime::remote"]),
];

/// The circles among the files of `net/`: each names, directly or not, all others of its circle. There are no more.
const CIRCLES: &[&[&str]] = &[
    // A guard has its `AsyncFd`, whose methods return guards.
    &["net/async_fd/guard.rs", "net/async_fd/mod.rs"],
    // A half has its stream, whose methods return halves.
    &["net/tcp/split.rs", "net/tcp/stream.rs"],
    &["net/unix/split.rs", "net/unix/stream.rs"],
];

/// The files that may say `unsafe`, and the macro that their system calls go through.
const MAY_BE_UNSAFE: &[&str] = &[
    "fs/file/no_wait.rs",
    "hyper/uninit.rs",
    "net/read_buf.rs",
    "io/splice/sys.rs",
    "io/standard_sys.rs",
    "net/sys.rs",
    "net/unix/sys.rs",
    "net/udp/sys/many.rs",
    "net/udp/sys/mod.rs",
    "net/udp/sys/offload_unsupported.rs",
    "net/udp/sys/offload.rs",
    "net/udp/sys/single.rs",
    "process/command_unix.rs",
    "process/exit/kill.rs",
    "process/exit/kqueue.rs",
    "process/exit/pidfd.rs",
    "process/exit/zombie.rs",
    "runtime/context.rs",
    "runtime/cores/affinity.rs",
    "runtime/io/outside/request.rs",
    "runtime/selector/epoll.rs",
    "runtime/selector/eventfd.rs",
    "runtime/selector/file.rs",
    "runtime/selector/fork.rs",
    "runtime/selector/kevent.rs",
    "runtime/selector/mod.rs",
    "runtime/selector/queue.rs",
    "runtime/waker.rs",
    "signal/handler.rs",
    "signal/listeners.rs",
    "signal/stop_state.rs",
    "sync/lock_cell.rs",
    "task/branches/pinned.rs",
    "time/system_clock.rs",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of the library below a folder, relative to the root, without those of unit tests.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("_tests.rs") {
                found.push(name);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} is empty");
    found
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// Returns the source without comments and without the contents of strings. Lines stay lines.
fn code_of(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
            code.extend(rest[..end].chars().filter(|c| *c == '\n'));
            rest = &rest[end..];
        } else if rest.starts_with("'\"'") {
            rest = &rest[3..];
        } else if next == '"' {
            let mut is_escaped = false;
            let end = rest[1..].find(|c| {
                let ends = c == '"' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                ends
            });
            let end = end.map_or(rest.len(), |end| end + 2);
            code.push_str("\"\"");
            code.extend(rest[..end].chars().filter(|c| *c == '\n'));
            rest = &rest[end..];
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    code
}

/// Returns the code without the unit tests at its end.
fn without_tests(code: &str) -> &str {
    let tests = ["#[cfg(test)]", "#[cfg(all(test"].into_iter().filter_map(|mark| code.find(mark)).min();
    &code[..tests.unwrap_or(code.len())]
}

/// Returns the path from the crate's root of the module that a file defines.
fn module_of(file: &str) -> Vec<String> {
    let path = Path::new(file).with_extension("");
    let mut module: Vec<String> = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns everything of this crate that a file names, as paths from the root.
fn names_of(file: &str) -> BTreeSet<String> {
    let code = code_of(&read(file));
    let code = without_tests(&code);
    let mut names = BTreeSet::new();
    for (word, is_super) in [("crate::", false), ("super::", true)] {
        for (at, _) in code.match_indices(word) {
            let before = &code[..at];
            // The tail of another path, or a visibility.
            if before.ends_with(|c: char| is_word(c) || c == ':') || before.ends_with("pub(in ") {
                continue;
            }
            let mut base = if is_super { module_of(file) } else { Vec::new() };
            let mut rest = &code[at..];
            while let Some(further) = rest.strip_prefix("super::") {
                base.pop();
                rest = further;
            }
            let rest = rest.strip_prefix("crate::").unwrap_or(rest);
            follow(&base, rest, &mut names);
        }
    }
    names
}

/// Follows a path, and the branches in its braces.
fn follow(base: &[String], mut rest: &str, names: &mut BTreeSet<String>) {
    let mut path = base.to_vec();
    loop {
        if let Some(branches) = rest.strip_prefix('{') {
            let mut depth = 0;
            let end = branches.find(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth < 0
            });
            let mut depth = 0;
            for branch in branches[..end.unwrap()].split(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                c == ',' && depth == 0
            }) {
                let branch = branch.trim();
                if branch == "self" {
                    names.insert(path.join("::"));
                } else if !branch.is_empty() {
                    follow(&path, branch, names);
                }
            }
            return;
        }
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if end > 0 {
            path.push(rest[..end].to_owned());
        }
        match rest[end..].strip_prefix("::") {
            Some(further) if end > 0 => rest = further,
            _ => break,
        }
    }
    if path.len() > base.len() {
        names.insert(path.join("::"));
    }
}

/// Returns whether a path is that of a module, or of something in it.
fn is_in(name: &str, module: &str) -> bool {
    name.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_below(file: &str, path: &str) -> bool {
    file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[test]
fn a_folder_names_only_what_is_below_it() {
    let mut wrong = Vec::new();
    for file in FOLDERS.iter().flat_map(|folder| files(folder)) {
        let (path, may_name) = MAY_NAME
            .iter()
            .filter(|(path, _)| is_below(&file, path))
            .max_by_key(|(path, _)| path.len())
            .unwrap_or_else(|| panic!("no layer for {file}: give it one"));
        let own = path.trim_end_matches(".rs").replace('/', "::");
        for name in names_of(&file) {
            if !is_in(&name, &own) && !may_name.iter().any(|module| is_in(&name, module)) {
                wrong.push(format!("{file} names {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "names of a higher layer:\n{}", wrong.join("\n"));
}

#[test]
fn the_runtime_has_layers() {
    // Finds the longest listed path that contains the module, and returns the layer of that path.
    let layer_of = |module: &str| {
        let entries =
            RUNTIME.iter().enumerate().flat_map(|(layer, modules)| modules.iter().map(move |of| (layer, of)));
        let around = entries.filter(|(_, of)| is_in(module, of));
        around.max_by_key(|(_, of)| of.len()).map(|(layer, _)| layer)
    };
    let mut wrong = Vec::new();
    for file in files("runtime") {
        let module = module_of(&file)[1..].join("::");
        // The heads of the folders hold no code.
        if module.is_empty() || module == "io" {
            continue;
        }
        let layer = layer_of(&module).unwrap_or_else(|| panic!("no layer for {file}: give it one"));
        for name in names_of(&file) {
            let Some(other) = name.strip_prefix("runtime::") else { continue };
            match layer_of(other) {
                Some(other) if other <= layer => {}
                Some(_) => wrong.push(format!("{file} names {name}, which is above")),
                None => wrong.push(format!("{file} names {name}, which has no layer")),
            }
        }
    }
    assert!(wrong.is_empty(), "names of a higher layer:\n{}", wrong.join("\n"));
}

#[test]
fn what_is_banned_is_not_named() {
    let mut wrong = Vec::new();
    for file in FOLDERS.iter().flat_map(|folder| files(folder)) {
        for (path, bans) in MUST_NOT_NAME.iter().filter(|(path, _)| is_below(&file, path)) {
            let of = path.trim_end_matches(".rs");
            for name in names_of(&file) {
                if bans.iter().any(|ban| is_in(&name, ban)) && !is_in(&name, &of.replace('/', "::")) {
                    wrong.push(format!("{file} names {name}"));
                }
            }
        }
    }
    for (path, _) in MUST_NOT_NAME {
        assert!(root().join(path).exists(), "{path} is banned from something, and is not there");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// For each file below a folder, those that it names. What the head of a folder exports again is looked up where it is
/// defined.
fn named_files(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let files = files(folder);
    let modules: BTreeMap<String, &String> =
        files.iter().map(|file| (module_of(file).join("::"), file)).collect();
    let mut names: BTreeMap<&String, BTreeSet<String>> =
        files.iter().map(|file| (file, names_of(file))).collect();
    let mut exports = BTreeMap::new();
    for (module, head) in modules.iter().filter(|(_, file)| file.ends_with("/mod.rs")) {
        let code = code_of(&read(head));
        let mut used = BTreeSet::new();
        for (at, word) in code.match_indices("use ") {
            follow(&module_of(head), &code[at + word.len()..], &mut used);
        }
        for name in used {
            let exported = format!("{module}::{}", name.rsplit("::").next().unwrap());
            if !modules.contains_key(&exported) {
                exports.insert(exported, name.clone());
            }
            names.get_mut(head).unwrap().insert(name);
        }
    }
    let exported =
        |name: &str| prefixes(name).find_map(|part| Some(exports.get(part)?.clone() + &name[part.len()..]));
    let file_of = |name: &String| {
        let name = successors(Some(name.clone()), |name| exported(name)).last()?;
        let (file, rest) =
            prefixes(&name).find_map(|part| Some((*modules.get(part)?, &name[part.len()..])))?;
        // In a module within a file, `super` is not the head of the folder.
        let item = rest.trim_start_matches("::").split("::").next().unwrap();
        (!file.ends_with("/mod.rs") || defines(file, item)).then(|| file.clone())
    };
    let others = |file: &String, names: &BTreeSet<String>| {
        names.iter().filter_map(file_of).filter(|other| other != file).collect()
    };
    names.iter().map(|(file, names)| ((*file).clone(), others(file, names))).collect()
}

/// Returns a path and the paths of the modules around it, the longest first.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    [path].into_iter().chain(path.rmatch_indices("::").map(|(end, _)| &path[..end]))
}

/// Returns `true` if a file has an item of this name.
fn defines(file: &str, item: &str) -> bool {
    let code = code_of(&read(file));
    ["const", "enum", "fn", "macro_rules!", "static", "struct", "trait", "type"].iter().any(|kind| {
        let item = format!("{kind} {item}");
        code.match_indices(&item).any(|(at, _)| !code[at + item.len()..].starts_with(is_word))
    })
}

/// Finds the files that a file names, directly or by other files.
fn reached_from(file: &str, named: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut left = vec![file];
    while let Some(file) = left.pop() {
        left.extend(named[file].iter().filter(|other| reached.insert((*other).clone())).map(String::as_str));
    }
    reached
}

#[test]
fn the_files_of_net_form_no_circles_but_those_that_are_listed() {
    let named = named_files("net");
    let reached: BTreeMap<&String, BTreeSet<String>> =
        named.keys().map(|file| (file, reached_from(file, &named))).collect();
    let mut circles = BTreeSet::new();
    for (file, others) in reached.iter().filter(|(file, others)| others.contains(**file)) {
        circles.insert(others.iter().filter(|other| reached[other].contains(*file)).collect::<Vec<_>>());
    }
    let circles: Vec<_> = circles.into_iter().collect();
    assert_eq!(circles, CIRCLES, "files that name each other");
}

#[test]
fn the_root_of_the_crate_holds_no_logic() {
    let code = code_of(&read("lib.rs"));
    for word in ["fn ", "impl ", "struct ", "enum ", "trait ", "static ", "thread_local!"] {
        assert!(!code.contains(word), "lib.rs has a `{word}`");
    }
}

#[test]
fn the_macros_name_the_library_only_in_what_they_emit() {
    for file in files("macros") {
        let code = code_of(&read(&file));
        for line in without_tests(&code).lines().filter(|line| line.trim_start().starts_with("use ")) {
            assert!(!line.contains("runtime"), "{file}: {line}");
        }
    }
    let manifest = read("macros/Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
    let dependencies = dependencies.split("\n[").next().unwrap_or_default();
    assert!(dependencies.trim().is_empty(), "the macros parse tokens by hand:\n{dependencies}");
}

#[test]
fn unsafe_is_where_it_is_announced() {
    let mut found = Vec::new();
    for file in FOLDERS.iter().flat_map(|folder| files(folder)).chain([String::from("lib.rs")]) {
        let source = read(&file);
        let is_unsafe = without_tests(&code_of(&source)).split(|c| !is_word(c)).any(|word| word == "unsafe");
        let is_announced = source.contains("\n#![expect(unsafe_code, reason = \"");
        assert!(!source.contains("allow(unsafe_code"), "{file}: expected, not allowed");
        // The body of the macro is checked at its callers.
        if file != "runtime/selector/mod.rs" {
            let calls = source.contains("syscall!(");
            assert_eq!(is_unsafe || calls, is_announced, "{file}: unsafe, and announced at its head");
        }
        if is_unsafe {
            found.push(file);
        }
    }
    let unexpected: Vec<_> = found.iter().filter(|file| !MAY_BE_UNSAFE.contains(&file.as_str())).collect();
    assert!(unexpected.is_empty(), "unsafe in {unexpected:?}: if it has to be, add it to the list here");
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let mut wrong = Vec::new();
    let mut blocks = 0;
    for file in FOLDERS.iter().flat_map(|folder| files(folder)) {
        let source = read(&file);
        let lines: Vec<&str> = source.lines().collect();
        let code = code_of(&source);
        for (number, line) in code.lines().enumerate() {
            if !["unsafe {", "unsafe impl", "unsafe fn"].iter().any(|words| line.contains(words)) {
                continue;
            }
            blocks += 1;
            // A note of several lines counts, if it ends within the three lines before the block.
            let mut from = number.saturating_sub(3);
            while from > 0 && lines[from].trim_start().starts_with("//") {
                from -= 1;
            }
            if !lines[from..=number].iter().any(|line| line.contains("// SAFETY:")) {
                wrong.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "no note within three lines:\n{}", wrong.join("\n"));
    assert!(blocks >= 5, "{blocks} blocks: the test has gone blind");
}

#[test]
fn the_reader_of_sources_reads_right() {
    let code = code_of("a \"unsafe \\\" {\" b // crate::net\nc /* super::x\n */ d '\"' e");
    assert_eq!(code.lines().count(), 3);
    assert!(!code.contains("unsafe") && !code.contains("crate") && !code.contains("super"));
    assert!(code.contains('d') && code.contains('e'));
    let mut names = BTreeSet::new();
    follow(&[], "a::{self, b::C as D, e::{F, g::{self}}}; use", &mut names);
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "a::b::C", "a::e::F", "a::e::g"]);
    let of_epoll = names_of("runtime/selector/epoll.rs");
    assert!(of_epoll.contains("runtime::selector::NOTIFIER_KEY"), "{of_epoll:?}");
    let of_executor = names_of("runtime/executor/mod.rs");
    assert!(
        of_executor.contains("task::coop") && of_executor.contains("runtime::context"),
        "{of_executor:?}"
    );
    assert_eq!(module_of("runtime/mod.rs"), ["runtime"]);
    assert!(module_of("lib.rs").is_empty());
}
