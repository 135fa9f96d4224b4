//! Options of tokio that do not exist here are refused with the reason.

#[runtime::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() {}

#[runtime::test(flavor = 1)]
async fn test() {}
