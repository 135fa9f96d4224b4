//! Timers that are reset, dropped, polled with hostile wakers and sent to the other thread. None fires early.

use super::episode::Side;
use super::random::Random;
use super::wakers::{hostile, poll_with};
use crate::common::yield_times;
use runtime::task::yield_now;
use runtime::time::{Instant, interval, sleep, sleep_until, timeout};
use std::future::pending;
use std::pin::Pin;

pub(crate) async fn run(side: Side, mut random: Random) {
    for _ in 0..random.within(1..8) {
        match random.within(0..5) {
            0 | 1 => reset(&side, &mut random).await,
            2 => send_away(&side, &mut random).await,
            3 => time_out(&side, &mut random).await,
            _ => tick(&mut random).await,
        }
    }
}

/// Waits for a sleep whose deadline is moved later and sooner meanwhile.
async fn reset(side: &Side, random: &mut Random) {
    let mut sleep = sleep(random.micros(0..3000));
    for _ in 0..random.within(0..6) {
        if random.chance(60) {
            let polled = poll_with(&mut sleep, &hostile(side, random));
            assert!(polled.is_pending() || Instant::now() >= sleep.deadline(), "a sleep ended early");
        }
        if random.chance(50) {
            yield_now().await;
        }
        Pin::new(&mut sleep).reset(Instant::now() + random.micros(0..2000));
    }
    if random.chance(70) {
        let deadline = sleep.deadline().into_std();
        sleep.await;
        assert!(std::time::Instant::now() >= deadline, "a sleep ended early");
    }
}

/// Arms a sleep on this thread, and awaits it on the other one.
async fn send_away(side: &Side, random: &mut Random) {
    let deadline = std::time::Instant::now() + random.micros(0..2000);
    let mut sleep = sleep_until(deadline.into());
    if poll_with(&mut sleep, &hostile(side, random)).is_ready() {
        assert!(std::time::Instant::now() >= deadline, "a sleep ended early");
        return;
    }
    let task = side.there.spawn(async move {
        sleep.await;
        std::time::Instant::now() >= deadline
    });
    assert!(task.await.expect("nobody aborts it"), "a sleep ended early on the other thread");
}

/// Tests a timeout around a future that never ends, or that ends before or after the limit.
async fn time_out(side: &Side, random: &mut Random) {
    let (limit, length) = (random.micros(0..1500), random.micros(0..1500));
    let (start, guard) = (std::time::Instant::now(), side.checks.guard());
    match random.within(0..3) {
        0 => {
            let inner = async move {
                let _guard = guard;
                pending::<()>().await;
            };
            assert!(timeout(limit, inner).await.is_err());
            assert!(start.elapsed() >= limit, "a timeout came early");
        }
        1 => {
            let inner = async move {
                sleep(length).await;
                guard
            };
            let is_done = timeout(limit, inner).await.is_ok();
            let least = if is_done { length } else { limit };
            assert!(start.elapsed() >= least, "a timeout came early, or what it was about");
        }
        _ => {
            let yields = random.within(0..20) as usize;
            let is_done = timeout(limit, yield_times(yields)).await.is_ok();
            assert!(is_done || start.elapsed() >= limit, "a timeout came early");
        }
    }
}

async fn tick(random: &mut Random) {
    let period = random.micros(50..500);
    let (start, mut interval) = (std::time::Instant::now(), interval(period));
    for count in 0..random.within(1..5) {
        interval.tick().await;
        assert!(start.elapsed() >= period * count as u32, "tick {count} came early");
    }
}
