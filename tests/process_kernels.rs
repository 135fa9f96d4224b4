//! Child processes where the kernel refuses what they are made of, or gives the number of a child to another process.
#![cfg(target_os = "linux")] // strace(1) injects the errors.
#![cfg(not(miri))] // Miri has no processes.
#![expect(unsafe_code, reason = "waitpid, in processes where nothing else happens")]

mod net_support;

use net_support::{in_child_under, in_process_namespace, open_descriptors, poll_once, run, yields};
use runtime::process::{Child, Command};
use runtime::selector::Kind;
use runtime::signal::unix::SignalKind;
use runtime::{Builder, Runtime, spawn};
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn waiting_child() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

fn on_each(law: impl Fn(Runtime)) {
    for kind in Kind::available() {
        law(Builder::new_current_thread().selector(*kind).build().unwrap());
    }
}

fn is_gone(child: u32) -> bool {
    !std::fs::exists(format!("/proc/{child}")).unwrap()
}

/// Everything that is waited for, however the end of a child is noticed.
fn children_end(runtime: &Runtime) {
    runtime.block_on(async {
        let output = shell("head -c 200000 /dev/zero; exit 3").output().await.unwrap();
        assert_eq!((output.stdout.len(), output.status.code()), (200_000, Some(3)));

        // Many at once: one signal may stand for several of them.
        let children: Vec<Child> = (0..50)
            .map(|code| shell(&format!("read line; exit {code}")).stdin(Stdio::piped()).spawn().unwrap())
            .collect();
        let tasks: Vec<_> =
            children.into_iter().map(|mut child| spawn(async move { child.wait().await.unwrap() })).collect();
        for (code, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap().code(), Some(code as i32));
        }

        for _ in 0..20 {
            assert!(Command::new("true").status().await.unwrap().success());
        }

        let mut child = waiting_child();
        let stdin = child.stdin.take();
        for _ in 0..10 {
            assert!(poll_once(child.wait()).await.is_none());
        }
        child.send_signal(SignalKind::from_raw(libc::SIGSTOP)).unwrap();
        yields(10).await;
        assert!(poll_once(child.wait()).await.is_none(), "a stop is no end");
        child.kill().await.unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGKILL));
        drop(stdin);

        let mut child = waiting_child();
        let stdin = child.stdin.take();
        child.start_kill().unwrap();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None => yields(1).await,
            }
        };
        assert_eq!(status.signal(), Some(libc::SIGKILL));
        drop(stdin);

        let mut orphan = waiting_child();
        let (id, stdin) = (orphan.id().unwrap(), orphan.stdin.take());
        drop(orphan);
        yields(1).await;
        assert!(!is_gone(id));
        drop(stdin);
        while !is_gone(id) {
            yields(1).await;
        }
    });
}

#[test]
fn children_end_where_there_are_no_pidfds() {
    const NAME: &str = "children_end_where_there_are_no_pidfds";
    for error in ["ENOSYS", "EPERM"] {
        let inject = format!("inject=pidfd_open:error={error}");
        in_child_under(NAME, error, &["-e", "trace=pidfd_open", "-e", &inject], || {
            on_each(|runtime| children_end(&runtime));
        });
    }
}

#[test]
fn children_end_where_a_pidfd_cannot_send_signals() {
    const NAME: &str = "children_end_where_a_pidfd_cannot_send_signals";
    let strace = ["-e", "trace=pidfd_send_signal", "-e", "inject=pidfd_send_signal:error=ENOSYS"];
    in_child_under(NAME, "signals", &strace, || on_each(|runtime| children_end(&runtime)));
}

#[test]
fn interrupted_calls_are_repeated() {
    const NAME: &str = "interrupted_calls_are_repeated";
    // Every second call.
    let strace = ["-e", "trace=waitid,wait4", "-e", "inject=waitid,wait4:error=EINTR:when=1+2"];
    in_child_under(NAME, "waitid", &strace, || on_each(|runtime| children_end(&runtime)));
}

#[test]
fn without_descriptors_to_watch_a_child_the_wait_fails_and_can_be_repeated() {
    const NAME: &str = "without_descriptors_to_watch_a_child_the_wait_fails_and_can_be_repeated";
    let strace = ["-e", "trace=pidfd_open", "-e", "inject=pidfd_open:error=EMFILE:when=1..3"];
    in_child_under(NAME, "pidfd_open", &strace, || {
        run(async {
            let descriptors = open_descriptors();
            let mut child = waiting_child();
            let stdin = child.stdin.take();
            for _ in 0..2 {
                let error = child.wait().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                assert_eq!(child.try_wait().unwrap(), None);
            }
            assert!(poll_once(child.wait()).await.is_none());
            drop(stdin);
            assert!(child.wait().await.unwrap().success());
            assert_eq!(open_descriptors(), descriptors);
        });
    });
    // A child whose end is never waited for.
    let strace = ["-e", "trace=pidfd_open", "-e", "inject=pidfd_open:error=EMFILE"];
    in_child_under(NAME, "orphan", &strace, || {
        run(async {
            let mut child = waiting_child();
            let (id, stdin) = (child.id().unwrap(), child.stdin.take());
            drop(child);
            yields(3).await;
            drop(stdin);
            while !is_gone(id) {
                drop(Command::new("true").spawn().unwrap());
                yields(1).await;
            }
            let mut child = waiting_child();
            child.start_kill().unwrap();
            while child.try_wait().unwrap().is_none() {}
        });
    });
}

#[test]
fn without_descriptors_for_its_pipes_no_child_is_spawned() {
    const NAME: &str = "without_descriptors_for_its_pipes_no_child_is_spawned";
    // The standard library and the runtime make some pipes before; the thirtieth and all later ones fail.
    let strace = ["-e", "trace=pipe2", "-e", "inject=pipe2:error=EMFILE:when=30+"];
    in_child_under(NAME, "pipe2", &strace, || {
        run(async {
            while std::io::pipe().is_ok() {}
            let descriptors = open_descriptors();
            let mut command = shell("exit 1");
            for _ in 0..3 {
                let error = command.stdin(Stdio::piped()).status().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                assert_eq!(command.output().await.unwrap_err().raw_os_error(), Some(libc::EMFILE));
            }
            assert_eq!(open_descriptors(), descriptors);
            // SAFETY: the kernel may be given no place for the status.
            assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) }, -1, "no child");
        });
    });
}

#[test]
fn at_the_limit_of_processes_spawning_fails_and_nothing_hangs() {
    const NAME: &str = "at_the_limit_of_processes_spawning_fails_and_nothing_hangs";
    // The test harness starts some threads before.
    let calls = "clone,clone3,fork,vfork";
    let inject = format!("inject={calls}:error=EAGAIN:when=20+");
    in_child_under(NAME, "clone", &["-e", &format!("trace={calls}"), "-e", &inject], || {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let begin = Instant::now();
            let (mut descriptors, mut errors) = (open_descriptors(), 0);
            while errors < 10 {
                match shell("exit 1").output().await {
                    Ok(_) => descriptors = open_descriptors(),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        errors += 1;
                    }
                }
                assert!(begin.elapsed() < Duration::from_secs(30));
            }
            assert_eq!(open_descriptors(), descriptors);
        });
    });
}

#[test]
fn no_signal_is_sent_to_a_child_that_was_waited_for() {
    const NAME: &str = "no_signal_is_sent_to_a_child_that_was_waited_for";
    let strace = ["-e", "trace=kill,pidfd_send_signal", "-e", "inject=kill,pidfd_send_signal:error=EPERM"];
    in_child_under(NAME, "kill", &strace, || {
        run(async {
            let mut command = Command::new("cat");
            let mut child =
                command.stdin(Stdio::piped()).process_group(0).kill_on_drop(true).spawn().unwrap();
            // Every signal that is sent is an error here.
            assert_eq!(child.start_kill().unwrap_err().raw_os_error(), Some(libc::EPERM));
            let error = child.send_process_group_signal(SignalKind::terminate()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
            assert!(child.wait().await.unwrap().success());
            child.start_kill().unwrap();
            child.kill().await.unwrap();
            child.send_signal(SignalKind::terminate()).unwrap();
            child.send_process_group_signal(SignalKind::terminate()).unwrap();
        });
    });
}

/// golang/go#13987: after the wait, the number was another's.
#[test]
fn a_process_that_gets_the_number_of_a_child_is_left_alone() {
    const NAME: &str = "a_process_that_gets_the_number_of_a_child_is_left_alone";
    in_process_namespace(NAME, || {
        run(async {
            for is_reaped_elsewhere in [false, true] {
                let mut child = Command::new("true").process_group(0).kill_on_drop(true).spawn().unwrap();
                let number = child.id().unwrap();
                if is_reaped_elsewhere {
                    // SAFETY: the kernel may be given no place for the status.
                    assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } as u32, number);
                } else {
                    assert!(child.wait().await.unwrap().success());
                }
                std::fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string()).unwrap();
                let mut bystander = std::process::Command::new("cat");
                std::os::unix::process::CommandExt::process_group(&mut bystander, 0);
                let mut bystander = bystander.stdin(Stdio::piped()).spawn().unwrap();
                assert_eq!(bystander.id(), number);

                child.start_kill().unwrap();
                child.send_process_group_signal(SignalKind::terminate()).unwrap();
                child.send_signal(SignalKind::terminate()).unwrap();
                assert_eq!(child.wait().await.is_err(), is_reaped_elsewhere);
                drop(child);
                assert_eq!(bystander.try_wait().unwrap(), None);
                drop(bystander.stdin.take());
                assert!(bystander.wait().unwrap().success());
            }
        });
    });
}
