//! A loop of another kind that drives a runtime, for the tests of guests.

use super::Count;
use runtime::Runtime;
use runtime::io::{AsyncReadExt, Interest};
use runtime::net::UnixStream;
use runtime::selector::{Events, Kind, Selector};
use std::os::unix::net::UnixStream as StdStream;
use std::time::{Duration, Instant};

/// The timeout of a turn that does not wait.
pub(crate) const NOW: Option<Duration> = Some(Duration::ZERO);

/// The longest time that a test waits for something that must happen.
pub(crate) const AT_LAST: Duration = Duration::from_secs(10);

/// A loop that drives a guest, and counts its own waits.
pub(crate) struct Host {
    pub(crate) runtime: Runtime,
    /// `None` if the guest's selector has no descriptor.
    pub(crate) selector: Option<Selector>,
    events: Events,
    pub(crate) waits: usize,
}

impl Host {
    /// Makes a host whose selector is of that kind.
    pub(crate) fn of(runtime: Runtime, host: Kind) -> Host {
        let selector = runtime.selector_fd().ok().map(|fd| {
            let mut selector = Selector::with(host).unwrap();
            selector.register(fd, 1, Interest::READABLE).unwrap();
            selector
        });
        Host { runtime, selector, events: Events::with_capacity(8), waits: 0 }
    }

    /// Makes two hosts: one waits edge-triggered, and the other level-triggered.
    pub(crate) fn both(make: impl Fn() -> Runtime) -> [Host; 2] {
        [Kind::available()[0], Kind::Poll].map(|host| Host::of(make(), host))
    }

    /// Waits as long as the guest allows, at most for `timeout`, and turns the guest once.
    pub(crate) fn step(&mut self, timeout: Duration) {
        self.waits += 1;
        let next = self.runtime.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = next.map_or(timeout, |next| next.min(timeout));
        match &mut self.selector {
            None => self.runtime.turn(Some(timeout)),
            Some(selector) => {
                selector.wait(&mut self.events, Some(timeout)).unwrap();
                self.runtime.turn(NOW);
            }
        }
    }

    #[track_caller]
    pub(crate) fn until(&mut self, mut is_done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_done() {
            self.step(AT_LAST);
            // Careful: a turn after the timeout may find what the host has missed.
            assert!(start.elapsed() < AT_LAST, "missed");
        }
    }

    /// Turns until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        while self.runtime.next_deadline().is_some_and(|at| at <= Instant::now()) {
            self.step(Duration::ZERO);
        }
    }
}

pub(crate) fn std_pair() -> (StdStream, StdStream) {
    let (one, other) = StdStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

/// Spawns a task that counts the bytes that arrive, each with a wait of its own.
pub(crate) fn spawn_reader(runtime: &Runtime, stream: StdStream, read: &Count) {
    let read = read.clone();
    let _guard = runtime.enter();
    drop(runtime::spawn(async move {
        let mut stream = UnixStream::from_std(stream).unwrap();
        let mut byte = [0];
        while stream.read(&mut byte).await.unwrap() > 0 {
            read.add();
        }
    }));
}
