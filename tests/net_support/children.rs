//! The helpers that the tests of child processes share.
#![allow(dead_code, reason = "each test file uses a part")]

use crate::net_support::{in_child, in_child_under, watchdog};
use runtime::process::{Child, ChildStdin, Command};
use runtime::selector::Kind;
use runtime::{Builder, Runtime};
use std::fs;
use std::process::Stdio;

/// The arguments with which strace(1) refuses the pidfds, so that children are watched by `SIGCHLD`.
pub(crate) const NO_PIDFDS: [&str; 4] = ["-e", "trace=pidfd_open", "-e", "inject=pidfd_open:error=ENOSYS"];

pub(crate) fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Returns a child that runs until the other value is dropped.
pub(crate) fn waiting_child() -> (Child, ChildStdin) {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    (child, stdin)
}

pub(crate) fn is_gone(child: u32) -> bool {
    !fs::exists(format!("/proc/{child}")).unwrap()
}

/// Waits, without reaping, until a child has ended.
pub(crate) fn becomes_zombie(child: u32) {
    while !fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| stat.contains(") Z ")) {
        std::thread::yield_now();
    }
}

/// Runs `body` in a process of its own, once with pidfds and once without.
pub(crate) fn with_and_without_pidfds(name: &str, body: impl Fn()) {
    in_child(name, &body);
    in_child_under(name, "signals", &NO_PIDFDS, body);
}

/// Does the same on a runtime of each selector.
pub(crate) fn on_each(name: &str, law: impl Fn(Runtime)) {
    with_and_without_pidfds(name, || with_each_selector(&law));
}

pub(crate) fn with_each_selector(law: impl Fn(Runtime)) {
    let _watchdog = watchdog();
    for kind in Kind::available() {
        law(Builder::new_current_thread().selector(*kind).build().unwrap());
    }
}
