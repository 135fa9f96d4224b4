//! smol's `LocalExecutor` with async-io, whose `block_on` waits for sockets and timers on the calling thread.
//!
//! async-io has a thread of its own, which waits for sockets while no thread is in `block_on`. Its CPU time counts.

use std::future::Future;
use std::net::TcpListener as StdListener;
use std::time::Duration;

use async_executor::LocalExecutor;
use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::common::contender::Contender;

thread_local! {
    static EXECUTOR: LocalExecutor<'static> = const { LocalExecutor::new() };
}

/// The executor of this thread.
pub(crate) struct Smol;

impl Contender for Smol {
    const NAME: &'static str = "smol";

    fn new() -> Self {
        Smol
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        EXECUTOR.with(|executor| async_io::block_on(executor.run(future)))
    }

    #[inline(always)]
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.with(|executor| executor.spawn(future))
    }

    #[inline(always)]
    fn yield_now() -> impl Future<Output = ()> + Send {
        futures_lite::future::yield_now()
    }

    #[inline(always)]
    async fn sleep(duration: Duration) {
        Timer::after(duration).await;
    }

    /// Does what the documentation of [`Timer`] proposes, since smol has no timeout.
    #[inline(always)]
    fn timeout<F: Future + Send>(duration: Duration, future: F) -> impl Future<Output = bool> + Send {
        let in_time = async move {
            future.await;
            true
        };
        futures_lite::future::or(in_time, async move {
            Timer::after(duration).await;
            false
        })
    }

    fn serve_echo(&self, listener: StdListener, buffer_len: usize) {
        self.block_on(async move {
            let listener = Async::new(listener).expect("take over the listener");
            loop {
                let (mut stream, _) = listener.accept().await.expect("accept");
                let serve = async move {
                    let mut buf = vec![0; buffer_len];
                    while let Ok(n @ 1..) = stream.read(&mut buf).await {
                        if stream.write_all(&buf[..n]).await.is_err() {
                            break;
                        }
                    }
                };
                EXECUTOR.with(|executor| executor.spawn(serve)).detach();
            }
        })
    }
}
