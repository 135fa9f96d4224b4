//! The test harness has no arguments to pass.

#[runtime::test]
async fn name(seed: u64) {
    assert_ne!(seed, 0);
}

fn main() {}
