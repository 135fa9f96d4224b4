//! A runtime stays on its thread; its handle goes anywhere.

fn assert_send<T: Send>() {}

fn main() {
    assert_send::<runtime::Handle>();
    assert_send::<runtime::Runtime>();
}
