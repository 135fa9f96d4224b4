//! A crate that is not this runtime is underlined where it was named.

mod elsewhere {}

#[runtime::main(crate = elsewhere)]
async fn main() {}

#[runtime::main(crate = "nowhere::at_all")]
async fn unknown() {}
