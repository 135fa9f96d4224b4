//! Child processes in a program that forks: a child of fork(2) has the values of its parent, and not its children. Each
//! where the end of a child is noticed by a pidfd, and where it is noticed by `SIGCHLD`.
#![cfg(target_os = "linux")] // strace(1) refuses the pidfds.
#![cfg(not(miri))] // Miri has no processes.
#![expect(unsafe_code, reason = "fork and waitpid, in processes where nothing else happens")]

#[path = "net_support/children.rs"]
mod children;
mod net_support;

use children::{becomes_zombie, is_gone, on_each, waiting_child};
use net_support::{in_process_namespace, poll_once};
use runtime::block_on;
use runtime::process::Command;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::{fs, thread};

/// Runs `body` in a forked child, and `meanwhile` in this process.
fn forked(body: impl FnOnce(), meanwhile: impl FnOnce()) {
    // SAFETY: no other thread of this process holds a lock that the child needs.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: the function takes a number. The signal ends a child that hangs.
        unsafe { libc::alarm(20) };
        let is_well = catch_unwind(AssertUnwindSafe(body)).is_ok();
        // SAFETY: the function takes a number. The child calls no exit handlers of its parent.
        unsafe { libc::_exit(if is_well { 0 } else { 1 }) };
    }
    meanwhile();
    let mut status = 0;
    // SAFETY: the kernel writes one number, to `status`.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0, "the child failed");
}

#[test]
fn a_forked_child_does_not_reap_its_own_child_for_one_of_its_parent() {
    in_process_namespace("a_forked_child_does_not_reap_its_own_child_for_one_of_its_parent", || {
        // Nobody waits for this child, so it is reaped when the next one is spawned.
        let (orphan, stdin) = waiting_child();
        let number = orphan.id().unwrap();
        drop((orphan, stdin));
        let (mut reader, mut writer) = io::pipe().unwrap();
        let spawn_another = || drop(Command::new("true").spawn().unwrap());
        forked(
            || {
                reader.read_exact(&mut [0]).unwrap();
                fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).unwrap();
                let mut own = std::process::Command::new("true").spawn().unwrap();
                assert_eq!(own.id(), number);
                becomes_zombie(number);
                spawn_another();
                assert!(own.wait().unwrap().success());
            },
            || {
                becomes_zombie(number);
                spawn_another();
                assert!(is_gone(number));
                writer.write_all(b"x").unwrap();
            },
        );
    });
}

#[test]
fn a_forked_child_cannot_wait_for_a_child_of_its_parent() {
    on_each("a_forked_child_cannot_wait_for_a_child_of_its_parent", |runtime| {
        let (mut child, stdin) = waiting_child();
        runtime.block_on(async { assert!(poll_once(child.wait()).await.is_none()) });
        let wait_in_child = || {
            // In a thread of its own, since the runtime of this one is the parent's.
            let waited = thread::scope(|scope| scope.spawn(|| block_on(child.wait())).join().unwrap());
            assert_eq!(waited.unwrap_err().raw_os_error(), Some(libc::ECHILD));
            assert_eq!(child.try_wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
        };
        forked(wait_in_child, || {});
        drop(stdin);
        assert!(runtime.block_on(child.wait()).unwrap().success());
    });
}

#[test]
fn a_forked_child_that_drops_a_child_of_its_parent_leaves_it_alone() {
    on_each("a_forked_child_that_drops_a_child_of_its_parent_leaves_it_alone", |runtime| {
        let mut child = Command::new("cat").stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let stdin = child.stdin.take();
        runtime.block_on(async { assert!(poll_once(child.wait()).await.is_none()) });
        let mut child = Some(child);
        let drop_in_child = || {
            let mut child = child.take().unwrap();
            assert_eq!(child.start_kill().unwrap_err().raw_os_error(), Some(libc::ECHILD));
            drop(child);
        };
        forked(drop_in_child, || {});
        let mut child = child.unwrap();
        runtime.block_on(async {
            assert!(poll_once(child.wait()).await.is_none());
            drop(stdin);
            assert!(child.wait().await.unwrap().success());
        });
    });
}
