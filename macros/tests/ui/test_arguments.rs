//! The harness has nothing to pass.

#[runtime::test]
async fn name(seed: u64) {
    assert_ne!(seed, 0);
}

fn main() {}
