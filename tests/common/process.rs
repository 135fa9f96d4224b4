//! Helpers for what concerns the whole process: children in which nothing else happens, and counts of what the
//! process holds.

use std::ffi::OsStr;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

const MARK: &str = "RUNTIME_LAW_CHILD";

/// Runs `body` in a process of its own, in which nothing else happens. The process runs the same test again.
pub(crate) fn in_child(body: impl FnOnce()) {
    in_child_with(&[], body);
}

/// Does what [`in_child`] does, with additional environment variables.
pub(crate) fn in_child_with(variables: &[(&str, &OsStr)], body: impl FnOnce()) {
    if is_child() {
        let _watchdog = super::watchdog();
        return body();
    }
    let output = child().envs(variables.iter().copied()).output().expect("a process can start itself");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the child ended with {}:\n{text}", output.status);
    assert!(text.contains("1 passed"), "the child ran no test:\n{text}");
}

/// Runs `body`, which ends its process, in a child, and returns the status of the child.
pub(crate) fn exit_of_child(body: impl FnOnce()) -> ExitStatus {
    exits_of_children(&[()], |()| body())[0]
}

/// Does the same for several cases, with a process for each.
pub(crate) fn exits_of_children<T: Copy>(cases: &[T], body: impl FnOnce(T)) -> Vec<ExitStatus> {
    if let Ok(index) = std::env::var(MARK) {
        let _watchdog = super::watchdog();
        body(cases[index.parse::<usize>().expect("the parent gives a number")]);
        unreachable!("the body ends the process");
    }
    let end = |index: usize| {
        let output = child().env(MARK, index.to_string()).output().expect("a process can start itself");
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        output.status
    };
    (0..cases.len()).map(end).collect()
}

/// Returns whether this process is such a child.
pub(crate) fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

fn child() -> Command {
    let name = std::thread::current().name().expect("tests run in named threads").to_owned();
    let mut child = Command::new(std::env::current_exe().expect("a process knows its program"));
    child.args(["--exact", &name, "--nocapture", "--test-threads=1"]).env(MARK, "1");
    child
}

/// Returns the number of descriptors that this process has open.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Returns the number of threads of this process.
pub(crate) fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Waits until this process has `wanted` threads, and returns how many it has. A thread that has ended is counted
/// until the kernel has removed it.
pub(crate) fn threads_come_to(wanted: usize) -> usize {
    let deadline = Instant::now() + Duration::from_secs(10);
    while threads() != wanted && Instant::now() < deadline {
        std::thread::yield_now();
    }
    threads()
}

/// Waits until no thread makes a blocking call any more: if the process ends while a thread is in the resolver, that
/// looks like a leak.
pub(crate) fn blocking_threads_leave() {
    let is_blocking = |task: std::io::Result<std::fs::DirEntry>| {
        let name = task.and_then(|task| std::fs::read_to_string(task.path().join("comm")));
        name.is_ok_and(|name| name.starts_with("runtime-block"))
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::fs::read_dir("/proc/self/task").is_ok_and(|mut tasks| tasks.any(is_blocking))
        && Instant::now() < deadline
    {
        std::thread::yield_now();
    }
}
