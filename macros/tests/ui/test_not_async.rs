//! As for `main`.

#[runtime::test]
#[should_panic]
fn name() {}

fn main() {}
