//! Timeouts: sleep, interval and timeout, and the effects of cancelling a future.
//!
//! A future is cancelled by dropping it. It is not polled again, and the values that it holds at its current `await`
//! are dropped immediately. `timeout` cancels a future when the time is up, `abort` cancels a task, and the end of
//! the runtime cancels all tasks that are left. The last part of this program shows the one danger: bytes that a
//! cancelled future has already read are lost with it.
//!
//! ```text
//! cargo run --example timeouts
//! ```

use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{TcpListener, TcpStream};
use runtime::time::{Duration, Instant, MissedTickBehavior, interval, sleep, timeout};
use std::io;

const TENTH: Duration = Duration::from_millis(100);

#[runtime::main]
async fn main() -> io::Result<()> {
    sleeps_run_together().await?;
    an_interval_keeps_its_pace().await;
    a_timeout_drops_what_it_awaits().await;
    a_task_outlives_its_timeout_unless_aborted().await;
    bytes_that_were_read_are_lost().await
}

async fn sleeps_run_together() -> io::Result<()> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..1000).map(|_| runtime::spawn(sleep(TENTH))).collect();
    for task in tasks {
        task.await?;
    }
    println!("a thousand sleeps of {TENTH:?}, in tasks: {:.1?}", start.elapsed());
    Ok(())
}

async fn an_interval_keeps_its_pace() {
    let start = Instant::now();
    let mut interval = interval(TENTH);
    // By default, an interval returns all missed ticks at once. This behavior skips them.
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for tick in 0..5 {
        let due = interval.tick().await;
        println!("tick {tick}, due at {} ms, came at {:.1?}", (due - start).as_millis(), start.elapsed());
        // The work after a tick does not delay the next, unless it takes longer than a period.
        sleep(if tick == 2 { TENTH * 5 / 2 } else { TENTH / 2 }).await;
    }
}

/// A value that prints a line when it is dropped. It stands for a file, a connection or a lock.
struct Held(&'static str);

impl Drop for Held {
    fn drop(&mut self) {
        println!("  {} is released", self.0);
    }
}

async fn hold(what: &'static str) -> &'static str {
    let held = Held(what);
    sleep(TENTH * 3).await;
    println!("  {} has been used for as long as it took", held.0);
    held.0
}

async fn a_timeout_drops_what_it_awaits() {
    println!("enough time:");
    println!("  {:?}", timeout(TENTH * 5, hold("a lock")).await);
    println!("too little time:");
    println!("  {:?}", timeout(TENTH, hold("another lock")).await);
}

async fn a_task_outlives_its_timeout_unless_aborted() {
    println!("a task, too little time to await it:");
    let mut task = runtime::spawn(hold("a connection"));
    // The timeout takes the handle by reference. So it cancels only the waiting, and the handle can be used afterwards.
    println!("  {:?}, finished: {}", timeout(TENTH, &mut task).await, task.is_finished());
    println!("  {:?}", task.await);

    println!("a task, aborted:");
    let task = runtime::spawn(hold("another connection"));
    sleep(TENTH).await;
    task.abort();
    println!("  {:?}", task.await);
}

/// A single `read` takes bytes from the socket only if it returns them, so it can be cancelled at any time.
/// `read_exact` consists of several reads, and the bytes of the finished reads are lost when it is cancelled.
async fn bytes_that_were_read_are_lost() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut client = TcpStream::connect(listener.local_addr()?).await?;
    let (mut server, _) = listener.accept().await?;

    println!("a cancelled read_exact:");
    client.write_all(b"first half, ").await?;
    let mut buffer = [0; 23];
    println!("  {:?}", timeout(TENTH, server.read_exact(&mut buffer)).await);
    client.write_all(b"second half").await?;
    let count = server.read(&mut buffer).await?;
    println!("  what can still be read: {:?}", String::from_utf8_lossy(&buffer[..count]));

    // So keep the buffer and the count outside of the future that is cancelled.
    println!("a cancelled read, again and again:");
    client.write_all(b"first half, ").await?;
    let mut filled = 0;
    while filled < buffer.len() {
        match timeout(TENTH, server.read(&mut buffer[filled..])).await {
            Ok(count) => filled += count?,
            Err(_) => {
                println!("  have waited {TENTH:?}, and have {filled} bytes");
                client.write_all(b"second half").await?;
            }
        }
    }
    println!("  all there: {:?}", String::from_utf8_lossy(&buffer[..filled]));
    Ok(())
}
