//! glommio, which is built on io_uring and cannot start where that is forbidden or too little memory may be locked.

#![expect(unsafe_code, reason = "glommio takes over a listener as a raw descriptor only")]

use std::future::Future;
use std::net::TcpListener as StdListener;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::{LocalExecutor, LocalExecutorBuilder};

use crate::common::contender::{Contender, on_one_thread};

pub(crate) struct Glommio(LocalExecutor);

impl Contender for Glommio {
    const NAME: &'static str = "glommio";

    fn new() -> Self {
        Glommio(LocalExecutorBuilder::default().make().expect("build glommio"))
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.run(future)
    }

    #[inline(always)]
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        on_one_thread(glommio::spawn_local(future))
    }

    #[inline(always)]
    fn yield_now() -> impl Future<Output = ()> + Send {
        on_one_thread(async { glommio::executor().yield_now().await })
    }

    #[inline(always)]
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        on_one_thread(glommio::timer::sleep(duration))
    }

    #[inline(always)]
    fn timeout<F: Future + Send>(duration: Duration, future: F) -> impl Future<Output = bool> + Send {
        let timeout = glommio::timer::timeout(duration, async move { Ok(future.await) });
        on_one_thread(async move { timeout.await.is_ok() })
    }

    fn serve_echo(&self, listener: StdListener, buffer_len: usize) {
        // io_uring waits only for sockets that block.
        listener.set_nonblocking(false).expect("make the listener block");
        self.block_on(async move {
            // SAFETY: the descriptor is open, is a listener, and is given away here.
            let listener = unsafe { glommio::net::TcpListener::from_raw_fd(listener.into_raw_fd()) };
            loop {
                let mut stream = listener.accept().await.expect("accept");
                let serve = async move {
                    let mut buf = vec![0; buffer_len];
                    while let Ok(n @ 1..) = stream.read(&mut buf).await {
                        if stream.write_all(&buf[..n]).await.is_err() {
                            break;
                        }
                    }
                };
                glommio::spawn_local(serve).detach();
            }
        })
    }
}
