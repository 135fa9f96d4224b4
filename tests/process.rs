//! Child processes: their streams, their exit status, and who waits for what.
#![cfg(not(miri))] // Miri has no processes.

mod common;

use common::{HOUR, ms, poll_once, rounds, run, watchdog};
use futures_lite::future::zip;
use runtime::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use runtime::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use runtime::signal::unix::SignalKind;
use runtime::{Builder, Runtime, spawn, time};
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Returns a child that runs until its input is closed.
fn waiting_child() -> Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_child_reads_and_writes_through_its_streams() {
    run(async {
        let mut command = shell("echo ready >&2; cat");
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        child.stderr.as_mut().unwrap().read_exact(&mut ready).await.unwrap();
        assert_eq!(&ready, b"ready\n");

        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        for word in ["one", "two", "three"] {
            stdin.write_all(word.as_bytes()).await.unwrap();
            let mut answer = vec![0; word.len()];
            stdout.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, word.as_bytes());
            assert!(poll_once(stdout.read(&mut [0; 8])).await.is_none());
        }
        let slices = [IoSlice::new(b"in "), IoSlice::new(b"slices")];
        let written =
            poll_fn(|cx| futures_lite::AsyncWrite::poll_write_vectored(Pin::new(&mut stdin), cx, &slices));
        assert_eq!(written.await.unwrap(), 9);
        drop(stdin);
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "in slices");
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn streams_have_the_traits_of_tokio_too() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    run(async {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        assert!(tokio::io::AsyncWrite::is_write_vectored(&stdin));
        AsyncWriteExt::write_all(&mut stdin, b"through tokio").await.unwrap();
        AsyncWriteExt::shutdown(&mut stdin).await.unwrap();
        drop(stdin);
        let mut text = String::new();
        AsyncReadExt::read_to_string(child.stdout.as_mut().unwrap(), &mut text).await.unwrap();
        assert_eq!(text, "through tokio");
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn two_pipes_that_fill_up_are_both_drained() {
    run(async {
        let script =
            "head -c 1000000 /dev/zero >&2; head -c 2000000 /dev/zero; head -c 1000000 /dev/zero >&2; exit 3";
        let output = shell(script).output().await.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (2_000_000, 2_000_000));
        assert_eq!(output.status.code(), Some(3));
    });
}

#[test]
fn a_stream_is_passed_on_to_another_child_in_blocking_mode() {
    run(async {
        let mut first = shell("sleep 0.05; echo hello").stdout(Stdio::piped()).spawn().unwrap();
        let stdout: Stdio = first.stdout.take().unwrap().try_into().unwrap();
        // With a pipe in non-blocking mode, cat would fail.
        let second = Command::new("cat").stdin(stdout).output().await.unwrap();
        assert_eq!(second.stdout, b"hello\n");
        assert!(second.status.success() && first.wait().await.unwrap().success());
    });
}

#[test]
fn streams_of_std_are_wrapped() {
    run(async {
        let mut child =
            std::process::Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = runtime::process::ChildStdin::from_std(child.stdin.take().unwrap()).unwrap();
        let stdout = runtime::process::ChildStdout::from_std(child.stdout.take().unwrap()).unwrap();
        let mut stdout = BufReader::new(stdout);
        let mut text = String::new();
        let (written, read) = zip(
            async {
                stdin.write_all(b"hello").await?;
                drop(stdin);
                std::io::Result::Ok(())
            },
            stdout.read_to_string(&mut text),
        )
        .await;
        written.unwrap();
        assert_eq!((read.unwrap(), text.as_str()), (5, "hello"));
        assert!(child.wait().unwrap().success());
    });
}

/// tokio#3420, golang/go#9173: the error of the writer hid the status.
#[test]
fn a_child_that_ends_without_reading_breaks_the_pipe_and_has_its_status() {
    run(async {
        let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let error = stdin.write_all(&vec![0; 1 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert!(child.wait().await.unwrap().success());
    });
}

#[test]
fn waiting_closes_an_input_that_nobody_has_taken() {
    run(async {
        let mut child = waiting_child();
        assert_eq!(child.try_wait().unwrap(), None);
        assert!(child.stdin.is_some());
        assert!(child.wait().await.unwrap().success());

        let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        assert!(child.wait_with_output().await.unwrap().status.success());
        assert!(Command::new("cat").stdin(Stdio::piped()).status().await.unwrap().success());
    });
}

/// tokio-process#57: a flag that the kill had set made the wait hang.
#[test]
fn waiting_again_and_again_gives_the_same_status() {
    run(async {
        let mut child = waiting_child();
        let stdin = child.stdin.take();
        for _ in 0..1000 {
            assert!(poll_once(child.wait()).await.is_none());
        }
        assert!(child.id().is_some());
        child.kill().await.unwrap();
        assert_eq!(child.id(), None);
        for _ in 0..3 {
            assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGKILL));
            assert_eq!(child.try_wait().unwrap().unwrap().signal(), Some(libc::SIGKILL));
            child.start_kill().unwrap();
            child.kill().await.unwrap();
            child.send_signal(SignalKind::terminate()).unwrap();
        }
        drop(stdin);
    });
}

/// tokio#5976: the guard was dropped before the output was read, and killed the child.
#[test]
fn a_child_that_is_killed_on_drop_is_not_killed_by_waiting_for_its_output() {
    run(async {
        let mut command = shell("sleep 0.1; echo done; exit 4");
        assert!(!command.get_kill_on_drop());
        let output = command.kill_on_drop(true).output().await.unwrap();
        assert!(command.get_kill_on_drop());
        assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"done\n"[..], Some(4)));
    });
}

/// golang/go#23019: the grandchild has the pipe of the child, which does not end.
#[test]
fn a_grandchild_that_holds_the_pipe_holds_up_only_those_who_read_it() {
    run(async {
        // The shell ends at once, and its child when its input ends.
        let script = "exec 3<&0; cat <&3 & echo hi";
        let piped = || shell(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut child = piped();
        let (stdin, mut stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        assert!(child.wait().await.unwrap().success());
        let mut text = [0; 3];
        stdout.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"hi\n");
        assert!(poll_once(stdout.read(&mut text)).await.is_none(), "the pipe is still open");
        drop(stdin);
        assert_eq!(stdout.read(&mut text).await.unwrap(), 0);

        let mut child = piped();
        let stdin = child.stdin.take();
        let output = child.wait_with_output();
        let mut output = std::pin::pin!(output);
        assert!(time::timeout(ms(50), &mut output).await.is_err());
        drop(stdin);
        assert_eq!(output.await.unwrap().stdout, b"hi\n");
    });
}

#[test]
fn many_children_in_a_row_are_all_noticed() {
    run(async {
        for round in 0..rounds(10_000, 300, 0) {
            let status = Command::new("true").status().await.unwrap();
            assert!(status.success(), "child {round}: {status}");
        }
    });
}

#[test]
fn a_hundred_children_at_once_have_each_its_own_status() {
    run(async {
        let children: Vec<Child> = (0..100)
            .map(|code| shell(&format!("read line; exit {code}")).stdin(Stdio::piped()).spawn().unwrap())
            .collect();
        let tasks: Vec<_> =
            children.into_iter().map(|mut child| spawn(async move { child.wait().await.unwrap() })).collect();
        for (code, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap().code(), Some(code as i32));
        }
    });
}

#[test]
fn futures_of_one_command_do_not_borrow_it() {
    run(async {
        let mut command = shell("exit 2");
        let (one, other) = (command.status(), command.output());
        let (one, other) = zip(one, other).await;
        assert_eq!((one.unwrap().code(), other.unwrap().status.code()), (Some(2), Some(2)));
    });
}

#[test]
fn a_program_that_is_not_there_is_an_error_at_once() {
    let mut command = Command::new("/nonexistent/program");
    assert_eq!(command.spawn().unwrap_err().kind(), ErrorKind::NotFound);
    run(async {
        assert_eq!(command.status().await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(command.output().await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn the_settings_reach_the_child() {
    run(async {
        let script = "echo $0 $ONE $TWO $GONE $PWD; tr '\\0' ' ' </proc/$$/cmdline; cut -d' ' -f5 /proc/$$/stat; echo $$";
        let mut command = shell(script);
        command.env("GONE", "gone").env_remove("GONE").env("ONE", "1").envs([("TWO", "2")]);
        let output =
            command.arg("zero").current_dir("/").arg0("name").process_group(0).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "zero 1 2 /");
        if cfg!(target_os = "linux") {
            assert!(lines[1].starts_with("name -c"), "{text}");
            assert!(lines[1].ends_with(lines[2]), "it leads a group: {text}");
        }
        let mut bare = Command::from(std::process::Command::new("/usr/bin/env"));
        assert!(bare.env_clear().output().await.unwrap().stdout.is_empty());
        assert_eq!(bare.as_std().get_program(), "/usr/bin/env");
        assert_eq!(bare.as_std_mut().get_args().count(), 0);
        assert_eq!(bare.into_std().get_program(), "/usr/bin/env");
    });
}

#[test]
fn a_signal_to_the_group_reaches_the_grandchildren() {
    run(async {
        let mut command = shell("sleep 60 & echo started; wait");
        let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut started = [0; 8];
        stdout.read_exact(&mut started).await.unwrap();
        child.send_process_group_signal(SignalKind::terminate()).unwrap();
        // The pipe ends when no process of the group is left.
        assert_eq!(stdout.read(&mut started).await.unwrap(), 0);
        assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGTERM));
        child.send_process_group_signal(SignalKind::terminate()).unwrap();

        let mut member = waiting_child();
        let error = member.send_process_group_signal(SignalKind::terminate()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH), "it leads no group");
        assert!(member.wait().await.unwrap().success());
    });
}

#[test]
fn a_child_is_spawned_outside_of_a_runtime_and_waited_for_in_several() {
    let mut child = waiting_child();
    let stdin = child.stdin.take();
    for _ in 0..2 {
        Runtime::new().unwrap().block_on(async { assert!(poll_once(child.wait()).await.is_none()) });
    }
    let here = Runtime::new().unwrap();
    here.block_on(async { assert!(poll_once(child.wait()).await.is_none()) });
    thread::spawn(move || {
        run(async {
            let closing = spawn(async { drop(stdin) });
            assert!(child.wait().await.unwrap().success());
            closing.await.unwrap();
        });
    })
    .join()
    .unwrap();
    drop(here);
}

#[test]
#[should_panic(expected = "Child::wait was polled outside of a runtime")]
fn waiting_outside_of_a_runtime_panics() {
    let mut child = waiting_child();
    let _stdin = child.stdin.take();
    _ = futures_lite::future::block_on(child.wait());
}

#[test]
fn children_and_the_futures_that_wait_for_them_may_be_sent() {
    fn check<T: Send>(value: T) -> T {
        value
    }
    fn is_sync<T: Sync>() {}
    is_sync::<(Command, Child, ChildStdin, ChildStdout, ChildStderr)>();
    run(async {
        let mut command = check(Command::new("true"));
        assert!(check(command.status()).await.unwrap().success());
        assert!(check(command.output()).await.unwrap().status.success());
        let mut child = check(command.spawn().unwrap());
        assert!(check(child.wait()).await.unwrap().success());
    });
}

#[test]
fn a_paused_clock_does_not_run_ahead_of_a_child() {
    let _watchdog = watchdog();
    let mut builder = Builder::new_current_thread();
    // Without a grace, an hour passes at once.
    let runtime = builder.start_paused(true).auto_advance_grace(Duration::from_secs(40)).build().unwrap();
    runtime.block_on(async {
        let status = time::timeout(HOUR, shell("sleep 0.05; exit 3").status()).await;
        assert_eq!(status.unwrap().unwrap().code(), Some(3));
    });
}

#[test]
fn the_debug_form_says_what_is_known() {
    run(async {
        let mut child = waiting_child();
        assert!(format!("{child:?}").contains(&format!("id: {}", child.id().unwrap())));
        child.wait().await.unwrap();
        assert!(format!("{child:?}").contains("status: "), "{child:?}");
    });
}
