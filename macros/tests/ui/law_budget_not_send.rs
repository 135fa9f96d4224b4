//! A unit of the budget is that of the task that runs on this thread: it is given back there.

fn send<T: Send>(_: T) {}
fn share<T: Sync>(_: &T) {}

fn main() {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    if let std::task::Poll::Ready(proceed) = runtime::task::coop::poll_proceed(&mut cx) {
        share(&proceed);
        send(proceed);
    }
}
