//! The contenders: this crate and tokio's `current_thread`, behind one small trait.
//!
//! A workload is written once, over [`Contender`], and every call below is the plain call that a user of that runtime
//! would make. tokio comes in two kinds: with its plain `spawn`, and with `spawn_local` in a `LocalSet`. Where tasks
//! are measured, this crate is compared with the faster one: the `LocalSet` to spawn (by a fifth), the plain one to
//! yield (by a fifth), and either to wake.
//!
//! The calls are inlined, as they are where a user makes them: this trait is not what is measured.
//!
//! Futures given to `spawn` are `Send`, although only one of the three asks for it. [`on_one_thread`] gives the bound
//! to those that lack it.

use std::future::Future;
use std::net::TcpListener as StdListener;
use std::time::Duration;

/// A runtime to be measured.
pub(crate) trait Contender: Sized {
    const NAME: &'static str;

    fn new() -> Self;

    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Spawns `future`. The returned future waits for its output. Dropping it detaches the task, or cancels it: this
    /// crate and tokio detach.
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    fn yield_now() -> impl Future<Output = ()> + Send;

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static;

    /// Returns whether `future` was ready in time.
    fn timeout<F: Future + Send>(duration: Duration, future: F) -> impl Future<Output = bool> + Send;

    /// Serves echo on `listener` for ever, with a task and a buffer of `buffer_len` bytes for each connection.
    fn serve_echo(&self, listener: StdListener, buffer_len: usize);
}

/// Makes a future `Send`. The caller promises to poll and drop it on the thread that spawned it, as a [`Contender`]
/// does.
pub(crate) use self::promise::on_one_thread;

mod promise {
    #![expect(unsafe_code, reason = "a Send bound that a single-threaded runtime asks for in vain")]

    use std::pin::Pin;
    use std::task::{Context, Poll};

    struct OnOneThread<F>(F);

    // SAFETY: all contenders keep a spawned future on the thread that turns their loop, and the
    // workloads spawn from nowhere else.
    unsafe impl<F> Send for OnOneThread<F> {}

    impl<F: Future> Future for OnOneThread<F> {
        type Output = F::Output;

        #[inline]
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
            // SAFETY: the field is pinned whenever its owner is, and is never moved out.
            unsafe { self.map_unchecked_mut(|this| &mut this.0) }.poll(cx)
        }
    }

    pub(crate) fn on_one_thread<F: Future>(future: F) -> impl Future<Output = F::Output> + Send {
        OnOneThread(future)
    }
}

/// Accepts for ever and echoes: read, then write all of it, until the peer closes or resets.
///
/// A macro and not a function, because the two runtimes' read and write traits have the same
/// methods but no common name.
macro_rules! accept_and_echo {
    ($listener:expr, $buffer_len:expr, $spawn:path) => {
        loop {
            let (mut stream, _) = $listener.accept().await.expect("accept");
            drop($spawn(async move {
                let mut buf = vec![0; $buffer_len];
                while let Ok(n) = stream.read(&mut buf).await {
                    if n == 0 || stream.write_all(&buf[..n]).await.is_err() {
                        break;
                    }
                }
            }));
        }
    };
}

/// This crate.
pub(crate) struct Ours(runtime::Runtime);

impl Ours {
    /// Makes a runtime on a given mechanism.
    pub(crate) fn on(kind: runtime::selector::Kind) -> Ours {
        let mut builder = runtime::Builder::new_current_thread();
        Ours(builder.enable_all().selector(kind).build().expect("build the runtime"))
    }

    /// Makes a runtime with a given timer slack.
    pub(crate) fn with_timer_slack(slack: Duration) -> Ours {
        let mut builder = runtime::Builder::new_current_thread();
        Ours(builder.enable_all().timer_slack(slack).build().expect("build the runtime"))
    }
}

impl Contender for Ours {
    const NAME: &'static str = "ours";

    fn new() -> Self {
        Ours(runtime::Builder::new_current_thread().enable_all().build().expect("build the runtime"))
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
        let handle = runtime::spawn(future);
        async move { handle.await.expect("a task of the workload panicked") }
    }

    #[inline(always)]
    fn yield_now() -> impl Future<Output = ()> + Send {
        runtime::task::yield_now()
    }

    #[inline(always)]
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        runtime::time::sleep(duration)
    }

    #[inline(always)]
    fn timeout<F: Future + Send>(duration: Duration, future: F) -> impl Future<Output = bool> + Send {
        let timeout = runtime::time::timeout(duration, future);
        async move { timeout.await.is_ok() }
    }

    fn serve_echo(&self, listener: StdListener, buffer_len: usize) {
        use runtime::io::{AsyncReadExt, AsyncWriteExt};

        self.block_on(async move {
            let listener = runtime::net::TcpListener::from_std(listener).expect("take over the listener");
            accept_and_echo!(listener, buffer_len, runtime::spawn)
        })
    }
}

/// tokio's `current_thread` scheduler with everything enabled, and plain `spawn`.
pub(crate) struct Tokio(tokio::runtime::Runtime);

impl Contender for Tokio {
    const NAME: &'static str = "tokio";

    fn new() -> Self {
        Tokio(tokio::runtime::Builder::new_current_thread().enable_all().build().expect("build tokio"))
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
        let handle = tokio::spawn(future);
        async move { handle.await.expect("a task of the workload panicked") }
    }

    #[inline(always)]
    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }

    #[inline(always)]
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(duration)
    }

    #[inline(always)]
    fn timeout<F: Future + Send>(duration: Duration, future: F) -> impl Future<Output = bool> + Send {
        let timeout = tokio::time::timeout(duration, future);
        async move { timeout.await.is_ok() }
    }

    fn serve_echo(&self, listener: StdListener, buffer_len: usize) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        self.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("take over the listener");
            accept_and_echo!(listener, buffer_len, tokio::spawn)
        })
    }
}

/// The same within a `LocalSet`, whose `spawn_local` does not ask for `Send`.
pub(crate) struct TokioLocal {
    runtime: tokio::runtime::Runtime,
    set: tokio::task::LocalSet,
}

impl Contender for TokioLocal {
    const NAME: &'static str = "tokio in a LocalSet";

    fn new() -> Self {
        TokioLocal { runtime: Tokio::new().0, set: tokio::task::LocalSet::new() }
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.set.block_on(&self.runtime, future)
    }

    #[inline(always)]
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let handle = tokio::task::spawn_local(future);
        async move { handle.await.expect("a task of the workload panicked") }
    }

    #[inline(always)]
    fn yield_now() -> impl Future<Output = ()> + Send {
        Tokio::yield_now()
    }

    #[inline(always)]
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        Tokio::sleep(duration)
    }

    #[inline(always)]
    fn timeout<F: Future + Send>(duration: Duration, future: F) -> impl Future<Output = bool> + Send {
        Tokio::timeout(duration, future)
    }

    fn serve_echo(&self, listener: StdListener, buffer_len: usize) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        self.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("take over the listener");
            accept_and_echo!(listener, buffer_len, tokio::task::spawn_local)
        })
    }
}
