//! compio, on io_uring if the kernel has it, and otherwise on its driver that polls.

use std::future::Future;
use std::net::TcpListener as StdListener;
use std::time::Duration;

use compio::buf::BufResult;
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::runtime::Runtime;

use crate::common::contender::{Contender, on_one_thread};
use crate::common::floor::YieldOnce;

pub(crate) struct Compio(Runtime);

impl Compio {
    /// Returns whether the runtime waits by io_uring. Otherwise it waits by epoll.
    pub(crate) fn is_on_io_uring(&self) -> bool {
        self.0.driver_type().is_iouring()
    }
}

impl Contender for Compio {
    const NAME: &'static str = "compio";

    fn new() -> Self {
        Compio(Runtime::new().expect("build compio"))
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    #[inline(always)]
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let handle = compio::runtime::spawn(future);
        async move { handle.await.expect("a task of the workload panicked") }
    }

    #[inline(always)]
    fn yield_now() -> impl Future<Output = ()> + Send {
        YieldOnce::default()
    }

    #[inline(always)]
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        on_one_thread(compio::time::sleep(duration))
    }

    #[inline(always)]
    fn timeout<F: Future + Send>(duration: Duration, future: F) -> impl Future<Output = bool> + Send {
        let timeout = compio::time::timeout(duration, future);
        on_one_thread(async move { timeout.await.is_ok() })
    }

    fn serve_echo(&self, listener: StdListener, buffer_len: usize) {
        // io_uring waits only for sockets that block. The other driver changes this back.
        listener.set_nonblocking(false).expect("make the listener block");
        self.block_on(async move {
            let listener = compio::net::TcpListener::from_std(listener).expect("take over the listener");
            loop {
                let (mut stream, _) = listener.accept().await.expect("accept");
                let serve = async move {
                    let mut buf = Vec::with_capacity(buffer_len);
                    loop {
                        let BufResult(read, filled) = stream.read(buf).await;
                        if !matches!(read, Ok(1..)) {
                            break;
                        }
                        let BufResult(written, emptied) = stream.write_all(filled).await;
                        if written.is_err() {
                            break;
                        }
                        buf = emptied;
                        buf.clear();
                    }
                };
                compio::runtime::spawn(serve).detach();
            }
        })
    }
}
