//! A test must be an `async fn`, as `main` must.

#[runtime::test]
#[should_panic]
fn name() {}

fn main() {}
