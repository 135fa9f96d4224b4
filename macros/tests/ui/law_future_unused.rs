//! A sleep that nobody awaits does nothing: the compiler says so.

#![deny(unused_must_use)]

#[runtime::main]
async fn main() {
    runtime::time::sleep(runtime::time::Duration::from_secs(1));
}
