//! A unit of the budget belongs to the task on this thread, and must be given back on this thread.

fn send<T: Send>(_: T) {}
fn share<T: Sync>(_: &T) {}

fn main() {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    if let std::task::Poll::Ready(proceed) = runtime::task::coop::poll_proceed(&mut cx) {
        share(&proceed);
        send(proceed);
    }
}
