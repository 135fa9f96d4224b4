//! Hello: the smallest program in which two things happen at the same time.
//!
//! `#[runtime::main]` creates a runtime, runs its loop until `main` returns, and drops it. The program spawns a task
//! that sleeps, continues in `main` meanwhile, and then awaits the task. All of it runs on one thread.
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

    // The handle returns the output of the task, or an error if the task has panicked.
    let name = task.await?;
    println!("…{name}");
    Ok(())
}
