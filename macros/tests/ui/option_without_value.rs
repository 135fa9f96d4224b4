//! Neither the `=` nor the value may be missing. A tuple is not an option, and neither is a literal.

#[runtime::main(start_paused)]
async fn main() {}

#[runtime::main(event_interval =, name = "x")]
async fn no_value() {}

#[runtime::main(event_interval(61))]
async fn call() {}

#[runtime::main(event_interval == 61)]
async fn comparison() {}

#[runtime::main("main", start_paused = true)]
async fn literal() {}

#[runtime::main(, start_paused = true)]
async fn comma() {}
