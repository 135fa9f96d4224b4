//! Select loop: one task that reacts to several things, the usual heart of a small service.
//!
//! The loop waits for commands on standard input, for results of jobs, and for a timer, whichever comes first. All of
//! its state is in local variables, since only this task changes it.
//!
//! ```text
//! cargo run --example select_loop
//! ```
//!
//! Type the number of milliseconds that a job shall take, `status`, or `quit`. The loop also ends when standard input
//! ends, after the jobs that are still running.
//!
//! Everything that a branch of `select!` awaits here is cancel safe: a branch that loses has taken nothing. That is
//! true for `next_line`, `recv` and `tick`; the documentation of each method says so.

use runtime::io::{AsyncBufReadExt, BufReader, stdin};
use runtime::sync::mpsc;
use runtime::time::{MissedTickBehavior, interval, sleep};
use std::io;
use std::time::{Duration, Instant};

#[runtime::main]
async fn main() -> io::Result<()> {
    let mut lines = BufReader::new(stdin()).lines();
    let mut reads_input = true;
    let (results, mut finished) = mpsc::unbounded_channel();
    let (mut started, mut done, mut working_time) = (0_u32, 0_u32, Duration::ZERO);

    let mut tick = interval(Duration::from_secs(5));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    println!("select_loop: type a number of milliseconds, `status` or `quit`");

    while reads_input || done < started {
        runtime::select! {
            line = lines.next_line(), if reads_input => match line?.as_deref().map(str::trim) {
                Some("quit") => break,
                Some("status") => println!("{started} started, {done} done, {working_time:.1?} in all"),
                Some("") => {}
                Some(text) => match text.parse() {
                    Ok(ms) => {
                        started += 1;
                        start(started, Duration::from_millis(ms), results.clone());
                    }
                    Err(error) => println!("{text:?}: {error}"),
                },
                // The branch is disabled from now on, and the others go on.
                None => reads_input = false,
            },
            Some((number, time)) = finished.recv() => {
                done += 1;
                working_time += time;
                println!("job {number} is done after {time:.1?}");
            }
            _ = tick.tick(), if done < started => println!("{} jobs are running", started - done),
        }
    }
    Ok(())
}

/// Starts a job. It sends its number and the time that it took.
fn start(number: u32, duration: Duration, results: mpsc::UnboundedSender<(u32, Duration)>) {
    drop(runtime::spawn(async move {
        let begin = Instant::now();
        sleep(duration).await;
        // After `quit`, nobody receives the result any more.
        let _ = results.send((number, begin.elapsed()));
    }));
}
