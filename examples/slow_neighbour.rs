//! Slow neighbour: what a long computation does to the other tasks of its thread, and how `yield_now` helps.
//!
//! An interval of 10 ms measures how late each of its ticks is, first alone and then beside a computation of half a
//! second: in one piece, with `yield_now` after each millisecond, and in `spawn_blocking`, on another thread.
//!
//! ```text
//! cargo run --release --example slow_neighbour
//! ```
//!
//! In a debug build, the runtime also reports the long poll on standard error.

use runtime::task::{spawn_blocking, yield_now};
use runtime::time::{interval, sleep};
use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(10);
const WORK: Duration = Duration::from_millis(500);
const PIECE: Duration = Duration::from_millis(1);

#[runtime::main]
async fn main() {
    measure("alone", sleep(WORK)).await;
    measure("beside one piece of 500 ms", async { compute(WORK) }).await;
    measure("beside pieces of 1 ms, with yield_now", async {
        let end = Instant::now() + WORK;
        while Instant::now() < end {
            compute(PIECE);
            yield_now().await;
        }
    })
    .await;
    measure("beside spawn_blocking", async {
        spawn_blocking(|| compute(WORK)).await.expect("the computation does not panic");
    })
    .await;
}

/// Computes for a while.
fn compute(duration: Duration) {
    let end = Instant::now() + duration;
    let mut number = 1_u64;
    while Instant::now() < end {
        number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// Lets an interval run beside `work`, and prints how late its ticks were.
async fn measure(name: &str, work: impl Future<Output = ()> + 'static) {
    let worst = Rc::new(Cell::new(Duration::ZERO));
    let ticks = Rc::new(Cell::new(0));
    let ticker = runtime::spawn({
        let (worst, ticks) = (worst.clone(), ticks.clone());
        async move {
            let mut interval = interval(PERIOD);
            loop {
                let due = interval.tick().await;
                worst.set(worst.get().max(due.elapsed()));
                ticks.set(ticks.get() + 1);
            }
        }
    });
    // The first tick is at once.
    yield_now().await;
    runtime::spawn(work).await.expect("the work does not panic");
    // A tick that is late is counted when the loop has its turn.
    sleep(PERIOD).await;
    ticker.abort();
    println!("{name:40} {:3} ticks, the latest was {:.1?} late", ticks.get(), worst.get());
}
