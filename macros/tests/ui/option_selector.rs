//! A selector that nobody knows is told with those that there are.

#[runtime::main(selector = "iocp")]
async fn main() {}
