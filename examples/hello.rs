//! Hello: the smallest program that does something at the same time as something else.
//!
//! `#[runtime::main]` makes a runtime, turns its loop until `main` is done, and drops it. A task is
//! spawned, sleeps, and is awaited; meanwhile `main` goes on. All of it is one thread.
//!
//! ```text
//! cargo run --example hello
//! ```

use runtime::task::JoinError;
use runtime::time::{Duration, sleep};

#[runtime::main]
async fn main() -> Result<(), JoinError> {
    let task = runtime::spawn(async {
        sleep(Duration::from_millis(300)).await;
        "world"
    });
    println!("hello…");

    // Awaiting the handle gives what the task has returned, or an error if it has panicked.
    let name = task.await?;
    println!("…{name}");
    Ok(())
}
