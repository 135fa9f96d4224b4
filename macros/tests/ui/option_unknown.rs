//! The error points to the name and lists the options. Two errors are shown at once.

#[runtime::main(event_intervall = 61, start_paused = true, core_threads = 2)]
async fn main() {}

#[runtime::test(wait = 1)]
async fn test() {}
