//! The state in which a child starts: its signals and descriptors, and the time between its fork and its exec.
#![cfg(target_os = "linux")] // The tests look into /proc.
#![cfg(not(miri))] // Miri has no processes.
#![expect(unsafe_code, reason = "pre_exec and signals, in processes where nothing else happens")]

mod common;

use common::process::in_child;
use common::{rounds, run};
use runtime::process::Command;
use runtime::signal::unix::{SignalKind, signal};
use runtime::task::{spawn_blocking, yield_now};
use runtime::{Handle, spawn};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::{fs, io, ptr, thread};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// bun#38926: children of threads with blocked signals could not be ended.
#[test]
fn children_start_with_no_signal_blocked_and_sigpipe_at_its_default() {
    in_child(|| {
        let masks = || async {
            let status = Command::new("cat").arg("/proc/self/status").output().await.unwrap();
            let text = String::from_utf8(status.stdout).unwrap();
            let mask = |name: &str| {
                let line = text.lines().find(|line| line.starts_with(name)).unwrap();
                u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap()
            };
            (mask("SigBlk"), mask("SigIgn") & (1 << (libc::SIGPIPE - 1)))
        };
        run(async move {
            assert_eq!(masks().await, (0, 0));
            let elsewhere = spawn_blocking(move || {
                // SAFETY: the set is filled before it is used.
                unsafe {
                    let mut set = std::mem::zeroed();
                    libc::sigfillset(&mut set);
                    libc::pthread_sigmask(libc::SIG_SETMASK, &set, ptr::null_mut());
                }
                runtime::Handle::current().block_on(masks())
            });
            assert_eq!(elsewhere.await.unwrap(), (0, 0));
        });
    });
}

/// libuv#3251: between fork and exec, the handler still runs, and wrote to the pipe of the parent.
#[test]
fn a_signal_to_a_child_that_is_being_born_does_not_wake_its_parent() {
    in_child(|| {
        run(async {
            let mut stream = signal(SignalKind::user_defined1()).unwrap();
            let polls = Rc::new(Cell::new(0));
            let waiting = spawn({
                let polls = polls.clone();
                poll_fn(move |cx| {
                    polls.set(polls.get() + 1);
                    stream.poll_recv(cx)
                })
            });
            yield_now().await;
            let mut command = Command::new("true");
            // SAFETY: raise(3) is async-signal-safe.
            unsafe {
                command.pre_exec(|| {
                    libc::raise(libc::SIGUSR1);
                    Ok(())
                });
            }
            for _ in 0..5 {
                assert!(command.status().await.unwrap().success());
            }
            // The next turn of the loop would report a write to the descriptor of the stream, and wake the task.
            let turns = || Handle::current().metrics().turns;
            let end = turns() + 2;
            while turns() < end {
                yield_now().await;
            }
            assert_eq!(polls.get(), 1);
            // SAFETY: the function takes a number.
            assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
            assert_eq!(waiting.await.unwrap(), Some(()));
            assert_eq!(polls.get(), 2);
        });
    });
}

#[test]
fn spawning_with_pre_exec_beside_threads_that_allocate_does_not_hang() {
    in_child(|| {
        static DONE: AtomicBool = AtomicBool::new(false);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn(|| {
                    while !DONE.load(Relaxed) {
                        drop(std::hint::black_box(vec![0u8; 1000]));
                    }
                })
            })
            .collect();
        run(async {
            for _ in 0..rounds(2000, 100, 0) {
                let mut command = Command::new("true");
                // SAFETY: the function does nothing.
                unsafe { command.pre_exec(|| Ok(())) };
                assert!(command.status().await.unwrap().success());
            }
        });
        DONE.store(true, Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn an_error_of_pre_exec_is_that_of_spawning() {
    run(async {
        let mut command = Command::new("true");
        // SAFETY: the function does nothing but return an error without a message.
        unsafe { command.pre_exec(|| Err(io::Error::from_raw_os_error(libc::ENOTTY))) };
        assert_eq!(command.status().await.unwrap_err().raw_os_error(), Some(libc::ENOTTY));
    });
}

/// rust#95584, golang/go#22315: a pipe that leaks into a sibling never ends.
#[test]
fn children_of_several_threads_inherit_no_descriptor_of_each_other() {
    in_child(|| {
        let script = "for fd in /proc/self/fd/*; do readlink $fd; done | grep -c 'pipe:\\|pidfd\\|eventfd\\|eventpoll'";
        // Alone, the child has its own output, and the pipe in the script.
        let count = || async {
            let output = shell(script).stdin(Stdio::null()).stderr(Stdio::null()).output().await.unwrap();
            // All pipes have ended, which they do not if a sibling has them.
            let text = String::from_utf8(output.stdout).unwrap();
            text.trim().parse::<usize>().unwrap()
        };
        let alone = run(count());
        let threads: Vec<_> = (0..8)
            .map(|_| {
                thread::spawn(move || {
                    run(async {
                        let held = Command::new("cat")
                            .stdin(Stdio::piped())
                            .stdout(Stdio::piped())
                            .kill_on_drop(true)
                            .spawn()
                            .unwrap();
                        for _ in 0..rounds(20, 4, 0) {
                            assert_eq!(count().await, alone);
                        }
                        drop(held);
                    })
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// rust#95584: a file that is open for writing in a sibling that has not executed its program yet cannot be executed.
#[test]
fn a_script_that_has_just_been_written_runs_or_is_busy() {
    let place = std::env::temp_dir().join(format!("runtime-busy-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let path = place.join(number.to_string());
            thread::spawn(move || {
                run(async {
                    for _ in 0..20 {
                        fs::write(&path, "#!/bin/sh\nexit 3\n").unwrap();
                        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
                        match Command::new(&path).status().await {
                            Ok(status) => assert_eq!(status.code(), Some(3)),
                            Err(error) => assert_eq!(error.kind(), ErrorKind::ExecutableFileBusy),
                        }
                        fs::remove_file(&path).unwrap();
                    }
                });
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    fs::remove_dir(&place).unwrap();
}
