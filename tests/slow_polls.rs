//! Polls that hold up the loop: the line that reports them, what it names, and how it is switched on.
#![cfg(not(miri))] // Processes.

#[path = "common/attempts.rs"]
mod attempts;

use attempts::holds_once;
use runtime::task::{self, LocalSet};
use runtime::{Builder, Handle, Runtime};
use std::process::Command;
use std::thread;
use std::time::Duration;

const CASE: &str = "RUNTIME_SLOW_POLLS_CASE";
const VARIABLE: &str = "RUNTIME_SLOW_POLL_MS";

/// Runs `body` in a process of its own, with a value of the environment variable, and returns what the process has
/// written to standard error. In that process, this function does not return.
fn said_by(body: impl FnOnce(), value: Option<&str>) -> String {
    if std::env::var_os(CASE).is_some() {
        body();
        std::process::exit(0);
    }
    let name = thread::current().name().expect("tests run in named threads").to_owned();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", &name, "--nocapture", "--test-threads=1"]).env(CASE, "1").env_remove(VARIABLE);
    if let Some(value) = value {
        child.env(VARIABLE, value);
    }
    let output = child.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

/// Returns the only line that contains a word.
fn line_with<'a>(said: &'a str, word: &str) -> &'a str {
    let mut lines = said.lines().filter(|line| line.contains(word));
    let line = lines.next().unwrap_or_else(|| panic!("no {word} in:\n{said}"));
    assert_eq!(lines.next(), None, "one line for one poll:\n{said}");
    line
}

fn block() {
    thread::sleep(Duration::from_millis(150));
}

fn a_task_that_blocks() {
    runtime::block_on(async {
        let task = runtime::spawn(async { block() });
        eprintln!("its id: {}", task.id());
        task.await.unwrap();
    });
}

#[test]
fn debug_builds_report_a_poll_that_takes_longer_than_a_tenth_of_a_second() {
    let said = said_by(a_task_that_blocks, None);
    if !cfg!(debug_assertions) {
        assert!(!said.contains("runtime:"), "release builds do not unless asked:\n{said}");
        return;
    }
    let id = line_with(&said, "its id").rsplit(' ').next().unwrap();
    let line = line_with(&said, "spawned at tests/slow_polls.rs");
    assert!(line.starts_with(&format!("runtime: task {id}, spawned at ")), "{line}");
    let took = line.split("held up the loop for ").nth(1).unwrap();
    let took_ms: u64 = took.strip_suffix(" ms").unwrap().parse().unwrap();
    assert!((150..60_000).contains(&took_ms), "{line}");
}

#[test]
fn a_variable_asks_for_it_in_any_build_and_forbids_it() {
    if std::env::var_os(CASE).is_some() {
        said_by(a_task_that_blocks, None);
    }
    let said = said_by(a_task_that_blocks, Some("100"));
    let id = line_with(&said, "its id").rsplit(' ').next().unwrap();
    line_with(&said, &format!("runtime: task {id}"));
    for value in ["off", "3600000"] {
        let said = said_by(a_task_that_blocks, Some(value));
        assert!(!said.contains("runtime:"), "{value}:\n{said}");
    }
    // The variable is empty.
    let said = said_by(a_task_that_blocks, Some(""));
    assert_eq!(said.contains("runtime: task"), cfg!(debug_assertions), "{said}");
}

#[test]
fn what_the_variable_cannot_say_is_an_error_of_the_builder() {
    let body = || {
        let error = Runtime::new().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let said = error.to_string();
        assert!(said.contains(VARIABLE) && said.contains("milliseconds, or \"off\""), "{said}");
        // If the program sets the threshold, the variable is not read.
        Builder::new_current_thread().slow_poll_threshold(None).build().unwrap();
    };
    for value in ["soon", "-1", "0.1"] {
        said_by(body, Some(value));
    }
}

/// With a threshold of zero, each poll is slow.
#[test]
fn the_line_names_the_task_as_its_handle_does_and_where_it_was_spawned() {
    let body = || {
        let runtime = Builder::new_current_thread().slow_poll_threshold(Duration::ZERO).build().unwrap();
        runtime.block_on(async {
            let sent = Handle::current().spawn(async { task::id() });
            eprintln!("sent: {} {}", sent.id(), line!() - 1);
            assert_eq!(sent.id(), sent.await.unwrap());
            let set = LocalSet::new();
            let local = set.spawn_local(async {});
            eprintln!("local: {} {}", local.id(), line!() - 1);
            local.await.unwrap();
            let panics = runtime::spawn(async { std::panic::resume_unwind(Box::new(())) });
            eprintln!("panics: {} {}", panics.id(), line!() - 1);
            assert!(panics.await.map(|(): ()| ()).is_err());
            // This task has no handle, and does not exist any more when its poll is reported.
            drop(runtime::spawn(async { eprintln!("detached: {} {}", task::id(), line!()) }));
            task::yield_now().await;
        });
    };
    let said = said_by(body, None);
    for kind in ["sent", "local", "panics", "detached"] {
        let of = line_with(&said, &format!("{kind}: "));
        let [id, line] = of.rsplit(' ').take(2).collect::<Vec<_>>()[..] else { unreachable!() };
        let (line, id) = (id, line);
        let place = format!(", spawned at {}:{line}:", file!());
        let place = if cfg!(debug_assertions) { place.as_str() } else { " held up the loop for " };
        line_with(&said, &format!("runtime: task {id}{place}"));
    }
    assert!(said.contains("runtime: the future of block_on held up the loop for "), "{said}");
}

/// The time between two calls of `block_on` counts for no poll, also if the first call has panicked.
#[test]
fn the_future_of_block_on_is_reported_once_for_each_poll() {
    let body = || {
        let runtime = Builder::new_current_thread().slow_poll_threshold(Duration::ZERO).build().unwrap();
        let panics = || runtime.block_on(async { std::panic::resume_unwind(Box::new("main")) });
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        runtime.block_on(async {});
        runtime.block_on(async {
            task::yield_now().await;
            task::yield_now().await;
        });
        runtime.block_on(runtime.spawn(task::yield_now())).unwrap();
    };
    let said = said_by(body, None);
    let polls = said.lines().filter(|line| line.starts_with("runtime: the future of block_on ")).count();
    assert_eq!(polls, 1 + 3 + 2, "{said}");
    let polls = said.lines().filter(|line| line.starts_with("runtime: task ")).count();
    assert_eq!(polls, 2, "{said}");
}

/// Nor does the time for which the loop sleeps, also after the last poll of a round.
#[test]
fn the_time_for_which_the_loop_sleeps_counts_for_no_poll() {
    let body = || {
        for event_interval in [1, 2, 61] {
            let runtime = Builder::new_current_thread()
                .slow_poll_threshold(Duration::from_millis(200))
                .event_interval(event_interval)
                .build()
                .unwrap();
            let busy_and_asleep = || async {
                for _ in 0..2 {
                    thread::sleep(Duration::from_millis(2));
                    runtime::time::sleep(Duration::from_millis(300)).await;
                }
            };
            runtime.block_on(busy_and_asleep());
            runtime.block_on(runtime.spawn(busy_and_asleep())).unwrap();
        }
    };
    holds_once(|| said_by(body, None), |said| !said.contains("held up the loop"));
}

/// Polls of the future of `block_on` that follow one another are measured one by one.
#[test]
fn many_short_polls_of_the_future_of_block_on_are_not_one_long_one() {
    let body = || {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.slow_poll_threshold(Duration::from_millis(200)).build().unwrap();
        runtime.block_on(async {
            // After these, the loop expects short polls.
            for _ in 0..10_000 {
                task::yield_now().await;
            }
            for _ in 0..60 {
                thread::sleep(Duration::from_millis(5));
                task::yield_now().await;
            }
        });
    };
    holds_once(|| said_by(body, None), |said| !said.contains("held up the loop"));
}

/// The measurement of polls does not change the turns of the loop.
#[test]
fn a_loop_that_looks_at_its_polls_goes_on_as_ever() {
    let runtime = Builder::new_current_thread().slow_poll_threshold(Duration::MAX).build().unwrap();
    let order = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let output = runtime.block_on(async {
        let tasks: Vec<_> = (0..3)
            .map(|n| {
                let order = order.clone();
                runtime::spawn(async move {
                    for round in 0..100 {
                        order.borrow_mut().push((round, n));
                        task::yield_now().await;
                    }
                })
            })
            .collect();
        runtime::time::sleep(Duration::from_millis(1)).await;
        for task in tasks {
            task.await.unwrap();
        }
        7
    });
    assert_eq!((output, order.borrow().len()), (7, 300));
    assert!(order.borrow().is_sorted());
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async { std::panic::resume_unwind(Box::new("main")) });
    }));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"main"));
    assert_eq!(runtime.block_on(async { 8 }), 8);
}
