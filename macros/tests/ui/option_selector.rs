//! The error for an unknown selector lists the known ones.

#[runtime::main(selector = "iocp")]
async fn main() {}
