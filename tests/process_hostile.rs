//! Child processes beside hostile code: destructors that run late, wakers and functions that panic, and other
//! code that reaps. Each where the end of a child is noticed by a pidfd, and where it is noticed by `SIGCHLD`.
#![cfg(target_os = "linux")] // strace(1) refuses the pidfds.
#![cfg(not(miri))] // Miri has no processes.
#![expect(unsafe_code, reason = "waitpid, sigaction and pre_exec, in processes where nothing else happens")]

#[path = "net_support/children.rs"]
mod children;
mod net_support;

use children::{
    NO_PIDFDS, is_gone, on_each, shell, waiting_child, with_and_without_pidfds, with_each_selector,
};
use net_support::{in_child, in_child_under, open_descriptors, poll_once, run, until};
use runtime::process::{Child, Command};
use runtime::signal::unix::{SignalKind, signal};
use runtime::{Builder, Runtime, block_on, spawn, time};
use std::cell::RefCell;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};
use std::{mem, ptr, thread};

#[test]
fn a_thread_that_reaps_all_children_leaves_the_status_or_an_error() {
    on_each("a_thread_that_reaps_all_children_leaves_the_status_or_an_error", |runtime| {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    // SAFETY: the kernel may be given no place for the status.
                    unsafe { libc::waitpid(-1, ptr::null_mut(), 0) };
                }
            });
            runtime.block_on(async {
                for _ in 0..20 {
                    let begin = Instant::now();
                    let turns = runtime::Handle::current().metrics().turns;
                    match shell("exit 7").status().await {
                        Ok(status) => assert_eq!(status.code(), Some(7)),
                        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECHILD)),
                    }
                    assert!(runtime::Handle::current().metrics().turns - turns < 20);
                    assert!(begin.elapsed() < Duration::from_secs(10));
                }
            });
            done.store(true, SeqCst);
        });
    });
}

#[test]
fn a_program_that_was_started_with_sigchld_ignored_gets_an_error_and_does_not_hang() {
    const NAME: &str = "a_program_that_was_started_with_sigchld_ignored_gets_an_error_and_does_not_hang";
    with_and_without_pidfds(NAME, || {
        // SAFETY: there is no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        run(async {
            for _ in 0..20 {
                match shell("exit 7").status().await {
                    Ok(status) => assert_eq!(status.code(), Some(7)),
                    Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECHILD)),
                }
            }
        });
    });
}

/// Sets what `SIGCHLD` does, and returns what it did before.
fn set_sigchld(action: &libc::sigaction) -> libc::sigaction {
    // SAFETY: all zeros are a valid value of the structure, to which the kernel writes.
    unsafe {
        let mut before = mem::zeroed();
        assert_eq!(libc::sigaction(libc::SIGCHLD, action, &mut before), 0);
        before
    }
}

/// The handler was installed, and then replaced: nothing would wake the waits.
#[test]
fn a_wait_fails_while_other_code_has_replaced_the_handler_of_sigchld() {
    const NAME: &str = "a_wait_fails_while_other_code_has_replaced_the_handler_of_sigchld";
    in_child_under(NAME, "signals", &NO_PIDFDS, || {
        with_each_selector(|runtime| {
            runtime.block_on(async {
                for effect in [libc::SIG_IGN, libc::SIG_DFL] {
                    let (mut child, stdin) = waiting_child();
                    assert!(poll_once(child.wait()).await.is_none());
                    // SAFETY: all zeros are a valid value of the structure.
                    let mut action: libc::sigaction = unsafe { mem::zeroed() };
                    action.sa_sigaction = effect;
                    let handler = set_sigchld(&action);
                    for _ in 0..2 {
                        let error = child.wait().await.unwrap_err();
                        assert!(error.to_string().contains("SIGCHLD"), "{error}");
                        assert_eq!(child.try_wait().unwrap(), None);
                    }
                    let (orphan, orphan_stdin) = waiting_child();
                    let orphan_id = orphan.id().unwrap();
                    drop(orphan);
                    runtime::task::yield_now().await;

                    set_sigchld(&handler);
                    assert!(poll_once(child.wait()).await.is_none());
                    drop(stdin);
                    assert!(child.wait().await.unwrap().success());
                    drop(orphan_stdin);
                    until(|| {
                        drop(Command::new("true").spawn().unwrap());
                        is_gone(orphan_id)
                    })
                    .await;
                }
            });
        });
    });
}

/// tokio#6770, libuv#3521: the child had ended before its end was watched.
#[test]
fn a_child_that_ends_before_spawn_returns_is_noticed() {
    const NAME: &str = "a_child_that_ends_before_spawn_returns_is_noticed";
    let delay = "inject=clone,clone3,vfork,fork:delay_exit=20000";
    let calls = "trace=clone,clone3,vfork,fork,pidfd_open";
    let refuse = "inject=pidfd_open:error=ENOSYS";
    // Each on a thread that has not listened for the signal before: else a new stream also returns earlier ones.
    let one = |runtime: Runtime| assert!(runtime.block_on(Command::new("true").status()).unwrap().success());
    let many = || {
        for _ in 0..5 {
            thread::scope(|scope| scope.spawn(|| with_each_selector(one)).join().unwrap());
        }
    };
    in_child_under(NAME, "pidfd", &["-e", calls, "-e", delay], many);
    in_child_under(NAME, "signals", &["-e", calls, "-e", delay, "-e", refuse], many);
}

/// golang/go#23019: the timeout ends, the pipe of the grandchild stays open, and our end of it is closed.
#[test]
fn output_that_times_out_while_a_grandchild_has_the_pipe_leaves_no_descriptor() {
    let name = "output_that_times_out_while_a_grandchild_has_the_pipe_leaves_no_descriptor";
    in_child(name, || {
        with_each_selector(|runtime| {
            runtime.block_on(async {
                let (hold, released) = io::pipe().unwrap();
                let descriptors = open_descriptors();
                let mut command = shell("exec 3<&0; cat <&3 & echo hi");
                let begin = Instant::now();
                let output = command.stdin(hold.try_clone().unwrap()).output();
                drop(command);
                assert!(time::timeout(Duration::from_millis(100), output).await.is_err());
                assert!(begin.elapsed() < Duration::from_secs(5));
                until(|| open_descriptors() == descriptors).await;
                drop((hold, released));
            });
        });
    });
}

/// The child has closed its output, and may run for long.
#[test]
fn a_pipe_that_has_ended_is_closed_while_the_child_runs() {
    in_child("a_pipe_that_has_ended_is_closed_while_the_child_runs", || {
        with_each_selector(|runtime| {
            runtime.block_on(async {
                let (reader, hold) = io::pipe().unwrap();
                let mut command = shell("exec >&- 2>&-; read line");
                command.stdin(reader);
                let descriptors = open_descriptors();
                let mut output = pin!(command.output());
                // The pidfd stays open.
                while open_descriptors() > descriptors + 1 {
                    assert!(poll_once(&mut output).await.is_none());
                    runtime::task::yield_now().await;
                }
                drop(hold);
                assert_eq!(output.await.unwrap().status.code(), Some(1));
            });
        });
    });
}

#[test]
fn a_child_in_a_thread_local_is_dropped_after_its_runtime() {
    with_and_without_pidfds("a_child_in_a_thread_local_is_dropped_after_its_runtime", || {
        thread_local! {
            static KEPT: RefCell<Vec<Child>> = const { RefCell::new(Vec::new()) };
        }
        let id = thread::spawn(|| {
            KEPT.with(|_| ());
            block_on(async {
                let mut child = Command::new("cat").stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
                let stdin = child.stdin.take();
                assert!(poll_once(child.wait()).await.is_none());
                child.stdin = stdin;
                let id = child.id().unwrap();
                KEPT.with_borrow_mut(|kept| kept.push(child));
                id
            })
        })
        .join()
        .unwrap();
        while !is_gone(id) {
            drop(Command::new("true").spawn().unwrap());
        }
    });
}

/// Destructors run while the runtime is being dropped, and use everything.
#[test]
fn children_and_signals_in_a_destructor_while_the_runtime_is_dropped() {
    struct Late(Option<Child>);
    impl Drop for Late {
        fn drop(&mut self) {
            let mut child = self.0.take().unwrap();
            let mut cx = Context::from_waker(Waker::noop());
            _ = catch_unwind(AssertUnwindSafe(|| pin!(child.wait()).poll(&mut cx).is_ready()));
            let _stream = signal(SignalKind::hangup());
            drop(child);
            drop(Command::new("cat").stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap());
        }
    }
    on_each("children_and_signals_in_a_destructor_while_the_runtime_is_dropped", |runtime| {
        let descriptors = open_descriptors();
        for _ in 0..5 {
            let runtime = Builder::new_current_thread().selector(runtime.selector()).build().unwrap();
            let id = runtime.block_on(async {
                let mut command = Command::new("cat");
                let child = command.stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
                let id = child.id().unwrap();
                let late = Late(Some(child));
                spawn(async move {
                    let _late = late;
                    std::future::pending::<()>().await;
                });
                runtime::task::yield_now().await;
                id
            });
            drop(runtime);
            while !is_gone(id) {
                drop(Command::new("true").spawn().unwrap());
            }
        }
        // Without pidfds, the streams that waited for SIGCHLD leave theirs to later ones, and one is for hangups.
        assert!(open_descriptors() <= descriptors + 3, "{} {descriptors}", open_descriptors());
    });
}

#[test]
fn a_waker_that_panics_takes_no_status_away() {
    struct Panicking;
    impl Wake for Panicking {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new(()));
        }
    }
    on_each("a_waker_that_panics_takes_no_status_away", |runtime| {
        let (mut child, stdin) = waiting_child();
        let (mut other, other_stdin) = waiting_child();
        let waker = Waker::from(Arc::new(Panicking));
        let mut stdin = Some((stdin, other_stdin));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let waiting = spawn(async move { other.wait().await });
                runtime::task::yield_now().await;
                assert!(pin!(child.wait()).poll(&mut Context::from_waker(&waker)).is_pending());
                drop(stdin.take());
                waiting.await.unwrap().unwrap()
            })
        }));
        drop(panicked);
        assert!(runtime.block_on(child.wait()).unwrap().success());
        assert!(runtime.block_on(Command::new("true").status()).unwrap().success());
    });
}

#[test]
fn a_panic_in_pre_exec_ends_the_child_alone() {
    with_and_without_pidfds("a_panic_in_pre_exec_ends_the_child_alone", || {
        run(async {
            let descriptors = open_descriptors();
            let mut command = Command::new("true");
            // SAFETY: the panic ends the child at once, which the standard library sees to.
            unsafe { command.pre_exec(|| panic!("in the child")) };
            assert_eq!(command.status().await.unwrap().signal(), Some(libc::SIGABRT));
            assert!(open_descriptors() <= descriptors + 1);
        });
    });
}

#[test]
fn a_forgotten_child_disturbs_nobody() {
    on_each("a_forgotten_child_disturbs_nobody", |runtime| {
        runtime.block_on(async {
            let (mut child, stdin) = waiting_child();
            assert!(poll_once(child.wait()).await.is_none());
            mem::forget(child);
            drop(stdin);
            for code in 0..5 {
                assert_eq!(shell(&format!("exit {code}")).status().await.unwrap().code(), Some(code));
            }
        });
    });
}

#[test]
fn a_child_that_a_blocking_thread_drops_is_reaped() {
    on_each("a_child_that_a_blocking_thread_drops_is_reaped", |runtime| {
        runtime.block_on(async {
            let (child, stdin) = waiting_child();
            let id = child.id().unwrap();
            runtime::task::spawn_blocking(move || drop(child)).await.unwrap();
            drop(stdin);
            until(|| {
                drop(Command::new("true").spawn().unwrap());
                is_gone(id)
            })
            .await;
        });
    });
}
