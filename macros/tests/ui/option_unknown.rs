//! The error stands on the name, says which there are, and two faults are shown at once.

#[runtime::main(event_intervall = 61, start_paused = true, core_threads = 2)]
async fn main() {}

#[runtime::test(wait = 1)]
async fn test() {}
