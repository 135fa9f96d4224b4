//! The option `crate` takes a path.

#[runtime::main(crate = 5)]
async fn main() {}

#[runtime::main(crate = "not a path")]
async fn text() {}

#[runtime::main(crate = "")]
async fn nothing() {}

#[runtime::main(crate = some::)]
async fn unfinished() {}
