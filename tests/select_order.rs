//! `select!`: the order in which branches are polled, and how often each of them is chosen.

mod common;

use common::{Trace, poll_to_end, rounds, traced, watchdog};
use runtime::runtime::RngSeed;
use runtime::{Builder, select};
use std::future::pending;

/// `select!` with 64 branches: the most there can be.
macro_rules! select_of_64 {
    ($($n:tt)*) => {
        select! { $(() = async {} => $n,)* }
    };
}

async fn one_of_64() -> usize {
    select_of_64! {
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39
        40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
    }
}

/// Asserts that each of the counts is within `percent` of the mean.
fn assert_even(counts: &[usize], percent: f64) {
    let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    for count in counts {
        let deviation = (*count as f64 - mean).abs() / mean * 100.0;
        assert!(deviation <= percent, "{deviation:.1} % off: {counts:?}");
    }
}

fn seeded(seed: &str) -> runtime::Runtime {
    Builder::new_current_thread().rng_seed(RngSeed::from_bytes(seed.as_bytes())).build().unwrap()
}

#[test]
fn each_of_64_ready_branches_is_chosen_equally_often() {
    let rounds = rounds(1_000_000, 200_000, 640);
    let _watchdog = watchdog();
    let counts = seeded("fair").block_on(async {
        let mut counts = [0; 64];
        for _ in 0..rounds {
            counts[one_of_64().await] += 1;
        }
        counts
    });
    // Six standard deviations, which are 5 % for a million.
    let percent = 600.0 / ((rounds / 64) as f64).sqrt();
    assert_even(&counts, percent);
}

#[test]
fn a_disabled_or_pending_branch_does_not_favour_the_one_after_it() {
    let rounds = rounds(100_000, 20_000, 300);
    let _watchdog = watchdog();
    let counts = seeded("fair").block_on(async {
        let mut counts = [0; 3];
        for _ in 0..rounds {
            let chosen = select! {
                () = async {}, if false => unreachable!(),
                () = async {} => 0,
                () = pending() => unreachable!(),
                () = pending() => unreachable!(),
                () = async {} => 1,
                () = async {} => 2,
                1 = async { 2 } => unreachable!(),
            };
            counts[chosen] += 1;
        }
        counts
    });
    assert_even(&counts, 600.0 / ((rounds / 3) as f64).sqrt());
}

#[test]
fn biased_polls_from_first_to_last() {
    let trace = Trace::default();
    poll_to_end(async {
        select! {
            biased;
            _ = traced(&trace, "1", 9) => {}
            _ = traced(&trace, "2", 9) => {}
            _ = traced(&trace, "3", 2) => {}
        }
    });
    let polls: Vec<_> = trace.take().into_iter().filter(|event| event.starts_with("poll")).collect();
    assert_eq!(polls, ["poll 1", "poll 2", "poll 3", "poll 1", "poll 2", "poll 3"]);
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let choices = |runtime: &runtime::Runtime| {
        runtime.block_on(async {
            let mut choices = Vec::new();
            for _ in 0..10 {
                choices.push(one_of_64().await);
            }
            choices
        })
    };
    let (one, same, other) = (seeded("one"), seeded("one"), seeded("other"));
    // The runtimes take turns, and each goes on with its own sequence.
    let first = choices(&one);
    assert_eq!(first, choices(&same));
    assert_ne!(first, choices(&other));
    let second = choices(&one);
    assert_eq!(second, choices(&same));
    assert_ne!(first, second);
    let unseeded = || choices(&Builder::new_current_thread().build().unwrap());
    assert_ne!(unseeded(), unseeded());
}

#[test]
fn outside_of_a_runtime_the_order_is_random_too() {
    let mut counts = [0; 3];
    for _ in 0..200 {
        counts[poll_to_end(async {
            select! {
                () = async {} => 0,
                () = async {} => 1,
                () = async {} => 2,
            }
        })] += 1;
    }
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}
