//! A sleep that is not awaited does nothing, and the compiler warns about it.

#![deny(unused_must_use)]

#[runtime::main]
async fn main() {
    runtime::time::sleep(runtime::time::Duration::from_secs(1));
}
