//! monoio on its epoll driver, which it calls legacy.
//!
//! Its driver for io_uring is left out: glommio and compio represent that mechanism.

use std::cell::RefCell;
use std::future::Future;
use std::net::TcpListener as StdListener;
use std::time::Duration;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::time::TimeDriver;
use monoio::{LegacyDriver, Runtime, RuntimeBuilder};

use crate::common::contender::{Contender, on_one_thread};
use crate::common::floor::YieldOnce;

/// The runtime is in a cell, since its `block_on` wants it exclusively.
pub(crate) struct Monoio(RefCell<Runtime<TimeDriver<LegacyDriver>>>);

impl Contender for Monoio {
    const NAME: &'static str = "monoio";

    fn new() -> Self {
        let builder = RuntimeBuilder::<LegacyDriver>::new().enable_timer();
        Monoio(RefCell::new(builder.build().expect("build monoio")))
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.borrow_mut().block_on(future)
    }

    #[inline(always)]
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        on_one_thread(monoio::spawn(future))
    }

    #[inline(always)]
    fn yield_now() -> impl Future<Output = ()> + Send {
        YieldOnce::default()
    }

    #[inline(always)]
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        on_one_thread(monoio::time::sleep(duration))
    }

    #[inline(always)]
    fn timeout<F: Future + Send>(duration: Duration, future: F) -> impl Future<Output = bool> + Send {
        let timeout = monoio::time::timeout(duration, future);
        on_one_thread(async move { timeout.await.is_ok() })
    }

    fn serve_echo(&self, listener: StdListener, buffer_len: usize) {
        self.block_on(async move {
            let listener = monoio::net::TcpListener::from_std(listener).expect("take over the listener");
            loop {
                let (mut stream, _) = listener.accept().await.expect("accept");
                monoio::spawn(async move {
                    let mut buf = vec![0; buffer_len];
                    loop {
                        let (read, filled) = stream.read(buf).await;
                        if !matches!(read, Ok(1..)) {
                            break;
                        }
                        let (written, emptied) = stream.write_all(filled).await;
                        if written.is_err() {
                            break;
                        }
                        buf = emptied;
                    }
                });
            }
        })
    }
}
