//! The end of a child: who reaps it, and what other code of the process, the kernel and a debugger can do to that.
#![cfg(target_os = "linux")] // The tests look into /proc.
#![cfg(not(miri))] // Miri has no processes.
#![expect(unsafe_code, reason = "fork, waitpid, ptrace and signals, in processes where nothing else happens")]

mod common;

use common::process::{in_child, open_descriptors, threads};
use common::{poll_once, rounds, run, until, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::process::{Child, Command};
use runtime::selector::Kind;
use runtime::signal::unix::SignalKind;
use runtime::{Builder, Runtime, block_on, spawn, time};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;
use std::{fs, io, ptr, thread};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Returns a command for a child that runs until its input is closed.
fn waiting() -> Command {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command
}

/// Returns the state of a child of this process, as proc_pid_stat(5) names it, or `None` if the child has been reaped.
fn state(child: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let is_ours = fields[1] == std::process::id().to_string();
    is_ours.then(|| fields[0].chars().next().unwrap())
}

/// Returns the children of this process that have not been reaped.
fn children() -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap();
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter(|process| state(*process).is_some()).collect()
}

/// Waits, without reaping, until a child has ended.
fn becomes_zombie(child: u32) {
    let _watchdog = watchdog();
    while state(child) != Some('Z') {
        thread::yield_now();
    }
}

/// Runs a law on a runtime of each selector, in a process of its own.
fn on_each(law: impl Fn(Runtime)) {
    in_child(|| {
        for kind in Kind::available() {
            law(Builder::new_current_thread().selector(*kind).build().unwrap());
        }
    });
}

#[test]
fn a_child_that_ended_before_it_was_watched_is_noticed() {
    on_each(|runtime| {
        for _ in 0..20 {
            let mut child = Command::new("true").spawn().unwrap();
            becomes_zombie(child.id().unwrap());
            assert!(runtime.block_on(child.wait()).unwrap().success());
            // And one whose end comes somewhere between the steps.
            assert!(runtime.block_on(Command::new("true").status()).unwrap().success());
        }
    });
}

#[test]
fn a_dropped_child_is_reaped_when_it_ends() {
    on_each(|runtime| {
        runtime.block_on(async {
            let descriptors = open_descriptors();
            let mut child = waiting().spawn().unwrap();
            let (id, stdin) = (child.id().unwrap(), child.stdin.take());
            drop(child);
            runtime::task::yield_now().await;
            assert_ne!(state(id), None, "it runs on");
            drop(stdin);
            until(|| state(id).is_none()).await;
            // A future that is dropped in the midst of waiting.
            let mut child = waiting().spawn().unwrap();
            let (id, stdin) = (child.id().unwrap(), child.stdin.take());
            assert!(poll_once(child.wait()).await.is_none());
            drop(child);
            drop(stdin);
            until(|| state(id).is_none()).await;
            assert_eq!(open_descriptors(), descriptors);
        });
    });
}

#[test]
fn a_child_that_is_killed_on_drop_is_reaped_too() {
    on_each(|runtime| {
        runtime.block_on(async {
            let mut child = waiting().kill_on_drop(true).spawn().unwrap();
            let (id, stdin) = (child.id().unwrap(), child.stdin.take());
            drop(child);
            until(|| state(id).is_none()).await;
            drop(stdin);

            let output = shell("echo $$; exec sleep 60").kill_on_drop(true).output();
            assert!(time::timeout(Duration::from_millis(20), output).await.is_err());
            until(|| children().is_empty()).await;
        });
    });
}

#[test]
fn a_child_that_no_runtime_waits_for_is_reaped_with_the_next_one() {
    in_child(|| {
        // It was dropped outside of a runtime; and it belonged to a task when its runtime was dropped.
        let dropped_outside = || {
            let mut child = waiting().spawn().unwrap();
            (child.id().unwrap(), child.stdin.take())
        };
        let dropped_with_its_runtime = || {
            let runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                let mut child = waiting().spawn().unwrap();
                let ends = (child.id().unwrap(), child.stdin.take());
                spawn(async move { child.wait().await });
                runtime::task::yield_now().await;
                ends
            })
        };
        let orphaned_with_its_runtime = || {
            block_on(async {
                let mut child = waiting().spawn().unwrap();
                (child.id().unwrap(), child.stdin.take())
            })
        };
        let cases: [&dyn Fn() -> _; 3] =
            [&dropped_outside, &dropped_with_its_runtime, &orphaned_with_its_runtime];
        for case in cases {
            let (id, stdin) = case();
            drop(stdin);
            becomes_zombie(id);
            drop(Command::new("true").spawn().unwrap());
            assert_eq!(state(id), None);
        }
    });
}

#[test]
fn no_zombie_stays_of_many_dropped_children() {
    on_each(|runtime| {
        runtime.block_on(async {
            for _ in 0..rounds(1000, 50, 0) {
                drop(Command::new("true").spawn().unwrap());
            }
            until(|| children().is_empty()).await;
        });
    });
}

#[test]
fn waiting_for_children_starts_no_thread_and_leaves_no_descriptor() {
    on_each(|runtime| {
        runtime.block_on(async {
            let (threads_before, descriptors) = (threads(), open_descriptors());
            let mut children: Vec<Child> = (0..20).map(|_| waiting().spawn().unwrap()).collect();
            for child in &mut children {
                let stdin = child.stdin.take();
                assert!(poll_once(child.wait()).await.is_none());
                assert_eq!(threads(), threads_before);
                drop(stdin);
                assert!(child.wait().await.unwrap().success());
            }
            assert_eq!(open_descriptors(), descriptors);
        });
    });
}

#[test]
fn a_program_ends_while_its_children_run_and_kills_those_that_it_should() {
    in_child(|| {
        let runtime = Runtime::new().unwrap();
        let (mut killed, mut kept) = (None, None);
        runtime.block_on(async {
            let mut child = waiting().kill_on_drop(true).spawn().unwrap();
            killed = Some((child.id().unwrap(), child.stdin.take()));
            spawn(async move { child.wait().await });
            let mut child = waiting().spawn().unwrap();
            kept = Some((child.id().unwrap(), child.stdin.take()));
            spawn(async move { child.wait().await });
            runtime::task::yield_now().await;
        });
        drop(runtime);
        let ((killed, _input), (kept, input)) = (killed.unwrap(), kept.unwrap());
        becomes_zombie(killed);
        assert_ne!(state(kept), Some('Z'));
        drop(input);
        becomes_zombie(kept);
    });
}

/// cpython#17477 invented the status 255.
#[test]
fn a_status_that_other_code_has_taken_is_an_error_and_not_invented() {
    on_each(|runtime| {
        let mut child = shell("exit 7").spawn().unwrap();
        let id = child.id().unwrap();
        let mut watched = waiting().spawn().unwrap();
        let (watched_id, stdin) = (watched.id().unwrap(), watched.stdin.take());
        runtime.block_on(async { assert!(poll_once(watched.wait()).await.is_none()) });
        drop(stdin);
        let mut taken = Vec::new();
        while taken.len() < 2 {
            // SAFETY: the kernel may be given no place for the status.
            let child = unsafe { libc::waitpid(-1, ptr::null_mut(), 0) };
            taken.extend(u32::try_from(child).ok());
        }
        assert!(taken.contains(&id) && taken.contains(&watched_id));
        for child in [&mut child, &mut watched] {
            for _ in 0..3 {
                let error = runtime.block_on(child.wait()).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
                assert_eq!(child.try_wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
            }
            assert_eq!(child.id(), None);
            child.start_kill().unwrap();
        }
    });
}

#[test]
fn children_end_while_sigchld_is_ignored() {
    on_each(|runtime| {
        // SAFETY: there is no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        for _ in 0..10 {
            let mut child = waiting().spawn().unwrap();
            let stdin = child.stdin.take();
            runtime.block_on(async {
                assert!(poll_once(child.wait()).await.is_none());
                drop(stdin);
                assert_eq!(child.wait().await.unwrap_err().raw_os_error(), Some(libc::ECHILD));
            });
        }
    });
}

/// waitpid(2) returns the stop of a traced child as if it were asked for.
#[test]
fn a_traced_child_that_is_stopped_has_not_ended() {
    on_each(|runtime| {
        let mut command = Command::new("true");
        // SAFETY: ptrace(2) is a system call and nothing else.
        unsafe {
            command.pre_exec(|| {
                let null = ptr::null_mut::<u8>();
                match libc::ptrace(libc::PTRACE_TRACEME, 0, null, null) {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            });
        }
        let Ok(mut child) = command.spawn() else { return eprintln!("passed over: ptrace is forbidden") };
        // It stops when the program begins.
        while state(child.id().unwrap()) != Some('t') {
            thread::yield_now();
        }
        runtime.block_on(async {
            for _ in 0..3 {
                assert_eq!(child.try_wait().unwrap(), None);
                assert!(poll_once(child.wait()).await.is_none());
            }
            child.kill().await.unwrap();
            assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGKILL));
        });
    });
}

#[test]
fn a_stopped_child_has_not_ended() {
    on_each(|runtime| {
        runtime.block_on(async {
            let mut child = waiting().spawn().unwrap();
            let (id, stdin) = (child.id().unwrap(), child.stdin.take());
            child.send_signal(SignalKind::from_raw(libc::SIGSTOP)).unwrap();
            until(|| state(id) == Some('T')).await;
            assert_eq!(child.try_wait().unwrap(), None);
            assert!(poll_once(child.wait()).await.is_none());
            child.send_signal(SignalKind::from_raw(libc::SIGCONT)).unwrap();
            drop(stdin);
            assert!(child.wait().await.unwrap().success());
        });
    });
}

/// golang/go#60321: the kernel calls a process whose first thread has ended a zombie, although it still runs.
#[test]
fn a_child_whose_first_thread_has_ended_has_not_ended() {
    on_each(|runtime| {
        let exit = libc::SYS_exit;
        let script = format!(
            "import ctypes, os, threading\n\
             threading.Thread(target=lambda: (os.read(0, 1), os._exit(5))).start()\n\
             ctypes.CDLL(None).syscall({exit}, 0)"
        );
        let child = Command::new("python3").args(["-c", &script]).stdin(Stdio::piped()).spawn();
        let Ok(mut child) = child else { return eprintln!("passed over: it needs python3") };
        let (id, mut stdin) = (child.id().unwrap(), child.stdin.take().unwrap());
        runtime.block_on(async {
            assert!(poll_once(child.wait()).await.is_none());
            until(|| state(id) == Some('Z')).await;
            for _ in 0..20 {
                assert_eq!(child.try_wait().unwrap(), None);
                assert!(poll_once(child.wait()).await.is_none());
                runtime::task::yield_now().await;
            }
            let turns = runtime::Handle::current().metrics().turns;
            let (status, written) = futures_lite::future::zip(child.wait(), stdin.write_all(b"x")).await;
            written.unwrap();
            assert_eq!(status.unwrap().code(), Some(5));
            assert!(runtime::Handle::current().metrics().turns - turns < 20);
        });
    });
}

#[test]
fn an_input_is_read_to_its_end_after_the_child_has_ended() {
    run(async {
        let mut child = shell("echo last words").stdout(Stdio::piped()).spawn().unwrap();
        assert!(child.wait().await.unwrap().success());
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "last words\n");
    });
}
