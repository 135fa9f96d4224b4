//! Threads without a runtime that poll sockets, and the runtimes that the sockets are bound to.

use runtime::net::{TcpListener, TcpStream};
use runtime::selector::Kind;
use runtime::{Builder, Handle};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// The longest time that anything here may wait for.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(10);

pub(crate) struct Unpark(pub(crate) Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn unpark() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

/// Polls a future on this thread, which has no runtime. Panics if it is not woken in time.
pub(crate) fn outside<T>(future: impl Future<Output = T>) -> T {
    outside_within(LONGEST_WAIT, future)
}

pub(crate) fn outside_within<T>(longest: Duration, future: impl Future<Output = T>) -> T {
    assert!(Handle::try_current().is_err());
    let mut future = pin!(future);
    let waker = unpark();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let since = Instant::now();
        thread::park_timeout(longest);
        assert!(since.elapsed() < longest, "no wake arrived in time");
    }
}

pub(crate) fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(&unpark()))
}

/// A runtime whose loop turns on a thread of its own until this is dropped.
pub(crate) struct Home {
    pub(crate) handle: Handle,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Home {
    pub(crate) fn new(kind: Kind) -> Home {
        let (sender, receiver) = channel();
        let (end, ended) = channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().selector(kind).build().unwrap();
            sender.send(runtime.handle().clone()).unwrap();
            // The end is noticed by a blocking call, so that the loop has nothing else to do.
            runtime.block_on(async { drop(runtime::task::spawn_blocking(move || ended.recv()).await) });
        });
        Home { handle: receiver.recv().unwrap(), end: Some(end), thread: Some(thread) }
    }

    /// Runs a future on the home's thread.
    pub(crate) fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        self.handle.block_on(future)
    }

    /// Returns two ends of a connection. The first was accepted in the home and never had to wait; the other one is
    /// std's.
    pub(crate) fn accepted(&self) -> (TcpStream, std::net::TcpStream) {
        self.run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            other.set_nodelay(true).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            (stream, other)
        })
    }

    pub(crate) fn sources(&self) -> usize {
        self.run(async { Handle::current().metrics().io_sources })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.end.take());
        self.thread.take().unwrap().join().unwrap();
    }
}
