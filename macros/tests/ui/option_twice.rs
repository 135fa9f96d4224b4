//! The error points to the second occurrence.

#[runtime::main(event_interval = 61, name = "main", event_interval = 31)]
async fn main() {}

#[runtime::test(start_paused = true, start_paused = true)]
async fn test() {}
