//! The operations that the loads and probes need beyond those of [`Contender`]: sockets, the budget, and a handle for other
//! threads.

use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Instant;

use crate::common::contender::{Contender, Ours, Tokio};
use crate::probes::Shared;

/// The number of bytes that a task of a load sends and receives in one step.
pub(crate) const MESSAGE_LEN: usize = 64;

/// A runtime whose fairness is measured. The streams and listeners that it is given are non-blocking.
pub(crate) trait Subject: Contender + 'static {
    /// A handle that spawns from any thread.
    type Handle: Clone + Send + 'static;
    /// A task that was spawned by a handle.
    type Task;

    /// Returns a handle of the current runtime.
    fn handle() -> Self::Handle;

    fn spawn_by(handle: &Self::Handle, future: impl Future<Output = ()> + Send + 'static) -> Self::Task;

    fn abort(task: &Self::Task);

    fn consume_budget() -> impl Future<Output = ()> + Send;

    fn sleep_until(deadline: Instant) -> impl Future<Output = ()> + Send + 'static;

    /// Sends back each byte, one by one, until the peer closes.
    fn echo_bytes(stream: StdStream) -> impl Future<Output = ()> + Send + 'static;

    /// Writes a message and reads one, again and again. Each pair is a step.
    fn converse(stream: StdUnixStream, shared: Arc<Shared>) -> impl Future<Output = ()> + Send + 'static;

    /// Accepts and closes connections. Each connection is a step.
    fn accept_all(listener: StdListener, shared: Arc<Shared>) -> impl Future<Output = ()> + Send + 'static;
}

/// Defines the three loops over sockets: the types and traits of the two runtimes have the same methods, but no
/// common name.
macro_rules! sockets {
    ($runtime:ident) => {
        async fn echo_bytes(stream: StdStream) {
            use $runtime::io::{AsyncReadExt, AsyncWriteExt};

            let mut stream = $runtime::net::TcpStream::from_std(stream).expect("take over a stream");
            let mut byte = [0];
            while let Ok(1) = stream.read(&mut byte).await {
                stream.write_all(&byte).await.expect("the client waits for its byte");
            }
        }

        async fn converse(stream: StdUnixStream, shared: Arc<Shared>) {
            use $runtime::io::{AsyncReadExt, AsyncWriteExt};

            let mut stream = $runtime::net::UnixStream::from_std(stream).expect("take over a stream");
            let mut message = [0; MESSAGE_LEN];
            while !shared.is_over() {
                stream.write_all(&message).await.expect("the peer reads until the end");
                stream.read_exact(&mut message).await.expect("the peer writes until the end");
                shared.step();
            }
        }

        async fn accept_all(listener: StdListener, shared: Arc<Shared>) {
            let listener = $runtime::net::TcpListener::from_std(listener).expect("take over the listener");
            loop {
                drop(listener.accept().await.expect("accept"));
                shared.step();
            }
        }
    };
}

impl Subject for Ours {
    type Handle = runtime::Handle;
    type Task = runtime::task::JoinHandle<()>;

    fn handle() -> runtime::Handle {
        runtime::Handle::current()
    }

    fn spawn_by(handle: &runtime::Handle, future: impl Future<Output = ()> + Send + 'static) -> Self::Task {
        handle.spawn(future)
    }

    fn abort(task: &Self::Task) {
        task.abort();
    }

    fn consume_budget() -> impl Future<Output = ()> + Send {
        runtime::task::consume_budget()
    }

    fn sleep_until(deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
        runtime::time::sleep_until(deadline.into())
    }

    sockets!(runtime);
}

impl Subject for Tokio {
    type Handle = tokio::runtime::Handle;
    type Task = tokio::task::JoinHandle<()>;

    fn handle() -> tokio::runtime::Handle {
        tokio::runtime::Handle::current()
    }

    fn spawn_by(
        handle: &tokio::runtime::Handle,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Self::Task {
        handle.spawn(future)
    }

    fn abort(task: &Self::Task) {
        task.abort();
    }

    fn consume_budget() -> impl Future<Output = ()> + Send {
        tokio::task::coop::consume_budget()
    }

    fn sleep_until(deadline: Instant) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep_until(deadline.into())
    }

    sockets!(tokio);
}
