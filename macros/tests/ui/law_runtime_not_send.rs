//! A runtime stays on its thread. Its handle may move to other threads.

fn assert_send<T: Send>() {}

fn main() {
    assert_send::<runtime::Handle>();
    assert_send::<runtime::Runtime>();
}
