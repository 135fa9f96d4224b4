//! Two runtimes on two threads under a random load: streams that move between them, tasks that are joined, are aborted or
//! panic, timers that are reset, and hostile wakers that drop, abort and spawn things whenever they are called.
//!
//! An *episode* runs a plan that is made from a seed, on two new threads with a new runtime each, for some milliseconds.
//! The seed decides on the plan and not on how the threads interleave. The bytes of each stream arrive complete and in
//! order, each task ends as planned, and no timer fires early. At the end of the episode every future, output and waker
//! has been dropped exactly once, and as many descriptors are open as before.
//!
//! ```text
//! RUNTIME_STRESS_SEED=1 RUNTIME_STRESS_SECONDS=60 cargo test --test stress
//! ```
//!
//! begins with the episode of seed 1. An episode that fails or hangs tells its seed.

mod common;

#[path = "stress/channel.rs"]
mod channel;
#[path = "stress/checks.rs"]
mod checks;
#[path = "stress/connections.rs"]
mod connections;
#[path = "stress/episode.rs"]
mod episode;
#[path = "stress/moves.rs"]
mod moves;
#[path = "stress/random.rs"]
mod random;
#[path = "stress/tasks.rs"]
mod tasks;
#[path = "stress/timers.rs"]
mod timers;
#[path = "stress/wakers.rs"]
mod wakers;

use common::process::open_descriptors;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, thread};

const SECONDS: u64 = 2;

/// The maximum time that blocking threads take to end after their runtime was dropped.
const MAX_END: Duration = Duration::from_secs(10);

#[test]
#[cfg_attr(miri, ignore = "makes system calls that Miri does not know, and takes its time")]
fn two_runtimes_under_random_load() {
    let length = Duration::from_secs(number("RUNTIME_STRESS_SECONDS").unwrap_or(SECONDS));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let first = number("RUNTIME_STRESS_SEED").unwrap_or(now.as_micros() as u64);
    say(&format!("stress: begins with RUNTIME_STRESS_SEED={first}, for {} s", length.as_secs()));
    let start = Instant::now();
    let mut seed = first;
    while seed == first || start.elapsed() < length {
        run_episode(seed);
        seed = seed.wrapping_add(1);
    }
    say(&format!("stress: {} episodes", seed.wrapping_sub(first)));
}

/// Runs one episode in a thread that is named after the seed: the watchdog tells the name if the episode hangs.
fn run_episode(seed: u64) {
    let name = format!("RUNTIME_STRESS_SEED={seed}");
    let descriptors = open_descriptors();
    let episode = thread::Builder::new().name(name.clone()).spawn(move || {
        let _watchdog = common::watchdog();
        episode::run(seed)
    });
    let faults = match episode.expect("start a thread").join() {
        Ok(faults) => faults,
        Err(payload) => vec![common::message(&*payload).to_owned()],
    };
    assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
    // Nobody waits for the threads of a pool, and one that is just notifying a runtime keeps its descriptors open.
    let start = Instant::now();
    while open_descriptors() != descriptors && start.elapsed() < MAX_END {
        thread::yield_now();
    }
    assert_eq!(open_descriptors(), descriptors, "{name}: descriptors were left open");
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is to be a number, not {text:?}")))
}

/// Writes past the test harness, which keeps what `println!` writes until the test has ended.
fn say(text: &str) {
    _ = writeln!(std::io::stderr(), "{text}");
}
