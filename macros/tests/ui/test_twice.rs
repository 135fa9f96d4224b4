//! Two test attributes would run the function twice.

#[runtime::test]
#[test]
async fn plain() {}

#[runtime::test]
#[ignore]
#[::core::prelude::v1::test]
async fn by_its_path() {}

#[runtime::test]
#[runtime::test(start_paused = true)]
async fn our_own() {}

#[runtime::main]
#[runtime::main]
async fn main() {}
