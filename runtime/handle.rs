//! What users hold of a runtime: the [`Runtime`] itself, on its thread, and [`Handle`]s anywhere.

use super::builder::Builder;
use super::context::{self, Context};
use super::executor::Executor;
use super::join::JoinHandle;
use super::metrics::RuntimeMetrics;
use super::selector::Kind;
use crate::runtime::join::spawn;
use crate::runtime::remote::blocking_call::Home;
use crate::task::outside;
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::time::Duration;

/// A loop on one thread: tasks, timers and sockets.
///
/// It belongs to the thread that made it: it is neither `Send` nor `Sync`, and turns while
/// [`block_on`](Runtime::block_on) is called there. Other threads reach it by its [`Handle`], which also shows how to
/// have one in a `static`. Dropping it drops every task, on this thread, and closes every descriptor it made;
/// blocking calls under way are not waited for. Handles and wakers that are left do nothing then.
///
/// # After fork(2)
///
/// A runtime belongs to the process that made it. A forked child can make its own, whatever the other threads of
/// the parent were doing with theirs. Of its parent's runtime, in the child:
///
/// - [`block_on`](Runtime::block_on) panics when it comes to wait, and [handles](Handle) are closed.
/// - Join handles return an error that [`is_cancelled`](crate::task::JoinError::is_cancelled), unless the result
///   had been sent to another thread, or from one, before the fork.
/// - Sockets may be used in a runtime that the child makes, as long as the parent does not use them too.
/// - Whatever is dropped changes nothing for the parent, and waits for no thread that is not in the child: the
///   runtime, sockets, timers, wakers, join handles, in-memory streams. What a thread of the parent was just
///   sending to the runtime is leaked.
///
/// A child that was forked inside of `block_on` is still inside: it drives a runtime of its own on another
/// thread, or after it has returned from there.
///
/// This is what the library promises of itself. The destructors of the futures in the parent's tasks run in the
/// child as well, and may wait for locks of their own. An object that another thread was using at that moment,
/// such as a shared listener, may be locked for ever, and then a *use* of it in the child hangs. The same holds
/// for what the child takes from elsewhere: the standard streams of std, and so the message of a panic; name
/// look-ups of the C library; the allocator, unless it is made for it, as that of glibc is.
///
/// # Examples
///
/// ```
/// let runtime = runtime::Runtime::new()?;
/// let task = runtime.spawn(async { 40 + 2 });
/// assert_eq!(runtime.block_on(task).unwrap(), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    executor: Executor,
    handle: Handle,
    name: Option<String>,
}

impl Runtime {
    /// A runtime with the defaults of [`Builder`].
    ///
    /// # Errors
    ///
    /// As [`Builder::build`].
    pub fn new() -> io::Result<Runtime> {
        Builder::new_current_thread().build()
    }

    pub(crate) fn from_executor(executor: Executor, name: Option<String>) -> Runtime {
        let handle = Handle { home: executor.context().home() };
        Runtime { executor, handle, name }
    }

    /// Turns the loop on this thread until `future` is ready, and gives its output.
    ///
    /// It may be called again and again; tasks that are left go on in the next call. The future
    /// need neither be `Send` nor `'static`. It shares the loop with the tasks.
    ///
    /// # Panics
    ///
    /// If `future` panics, and if a runtime is already being driven on this thread.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.executor.block_on(future)
    }

    /// Starts a task, which runs while [`block_on`](Runtime::block_on) is called. See [`spawn`](crate::spawn).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn::spawn_on(self.context(), future)
    }

    /// Makes a blocking call on the pool. See [`task::spawn_blocking`](crate::task::spawn_blocking).
    pub fn spawn_blocking<F, T>(&self, call: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn::spawn_on_pool(&self.handle.home, call)
    }

    /// A handle, for other threads.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Drops the runtime, and waits until its blocking calls are done and their threads have called
    /// [`on_thread_stop`](Builder::on_thread_stop), or `timeout` is over.
    pub fn shutdown_timeout(self, timeout: Duration) {
        let pool = self.context().pool.clone();
        drop(self);
        pool.wait_until_empty(timeout);
    }

    /// Drops the runtime without waiting for its blocking calls: the same as `drop`.
    pub fn shutdown_background(self) {}

    /// The mechanism by which the loop learns what is ready. See [`Builder::selector`].
    pub fn selector(&self) -> Kind {
        self.context().remote.selector()
    }

    /// What the runtime has done, and holds now.
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics {
            turns: self.executor.turns.get(),
            polls: self.executor.polls.get(),
            num_alive_tasks: self.context().tasks.borrow().alive(),
            io_sources: self.context().reactor.borrow().len(),
        }
    }

    fn context(&self) -> &Context {
        self.executor.context()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("name", &self.name)
            .field("selector", &self.selector())
            .field("metrics", &self.metrics())
            .finish()
    }
}

/// Makes a runtime, turns its loop until `future` is ready, and drops it.
///
/// For programs with one runtime; [`#[runtime::main]`](macro@crate::main) does the same for `main`.
///
/// # Panics
///
/// If no runtime can be made, see [`Builder::build`]; and as [`Runtime::block_on`].
///
/// # Examples
///
/// ```
/// assert_eq!(runtime::block_on(async { 6 * 7 }), 42);
/// ```
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    match Runtime::new() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("no runtime could be made: {error}"),
    }
}

/// Reaches a runtime from any thread. Clones are cheap, and keep nothing running.
///
/// # Examples
///
/// A [`Runtime`] stays on its thread. A program that wants one for all its threads, in a `static`, gives it a thread of
/// its own, and keeps the handle:
///
/// ```
/// use runtime::{Handle, Runtime};
/// use std::sync::OnceLock;
/// use std::thread;
///
/// fn runtime() -> &'static Handle {
///     static HANDLE: OnceLock<Handle> = OnceLock::new();
///     HANDLE.get_or_init(|| {
///         let (sender, receiver) = std::sync::mpsc::channel();
///         thread::spawn(move || {
///             let runtime = Runtime::new().expect("cannot make the runtime");
///             sender.send(runtime.handle().clone()).unwrap();
///             // Turns the loop for as long as the program runs.
///             runtime.block_on(std::future::pending::<()>());
///         });
///         receiver.recv().expect("the thread of the runtime has ended")
///     })
/// }
///
/// let task = runtime().spawn(async { thread::current().id() });
/// let elsewhere = runtime().block_on(task).unwrap();
/// assert_ne!(elsewhere, thread::current().id());
/// ```
#[derive(Clone)]
pub struct Handle {
    home: Home,
}

impl Handle {
    /// Returns the handle of the runtime that is entered on this thread, or whose
    /// [blocking call](crate::task::spawn_blocking) this thread makes.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn current() -> Handle {
        match context::home() {
            Some(home) => Handle { home },
            None => outside::called("Handle::current"),
        }
    }

    /// As [`current`](Handle::current), without a panic.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn try_current() -> Result<Handle, TryCurrentError> {
        context::home().map(|home| Handle { home }).ok_or(TryCurrentError(()))
    }

    /// Starts a task on the runtime's thread. The join handle may be awaited on any thread.
    ///
    /// If more than a thousand tasks are on their way from other threads, and the loop is turning, the calling
    /// thread waits for the loop to catch up, for a millisecond at most.
    ///
    /// If the runtime has gone, the future is dropped here and now, and the handle gives an error
    /// that [`is_cancelled`](crate::task::JoinError::is_cancelled), or the panic if that drop panics.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn::spawn_remote(&self.home.remote, future)
    }

    /// Makes a blocking call on the runtime's pool. See [`task::spawn_blocking`](crate::task::spawn_blocking).
    pub fn spawn_blocking<F, T>(&self, call: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn::spawn_on_pool(&self.home, call)
    }

    /// Runs `future` on the runtime's thread, and blocks this one until it is done. That thread has to turn the loop
    /// meanwhile: this waits until it calls the runtime's [`block_on`](Runtime::block_on), and for ever if it does not.
    ///
    /// Unlike tokio's, the future is sent there, since its sockets and timers can only be driven
    /// there; hence the bounds.
    ///
    /// # Panics
    ///
    /// If the future panics, with its panic; if the runtime has gone, or goes before the future is
    /// done; on a thread that drives a runtime, whose loop this would stop; and on the thread that owns the
    /// runtime, where nobody could turn the loop.
    #[track_caller]
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        assert!(
            !context::is_entered(),
            "Handle::block_on inside a runtime: this would stop its loop; await Handle::spawn instead"
        );
        assert!(
            context::local(self.home.remote.id()).is_none(),
            "Handle::block_on on the thread that owns the runtime, which nobody else can turn: \
             call Runtime::block_on here, and the handle's on other threads"
        );
        let result = self.spawn(future).wait();
        match result.map_err(|error| error.try_into_panic()) {
            Ok(output) => output,
            Err(Ok(payload)) => resume_unwind(payload),
            Err(Err(error)) => panic!("the runtime has gone: {error}"),
        }
    }

    /// The mechanism by which the runtime's loop learns what is ready. See [`Builder::selector`].
    pub fn selector(&self) -> Kind {
        self.home.remote.selector()
    }

    /// Returns whether the runtime has gone. In a forked child, the parent's runtime has.
    pub fn is_closed(&self) -> bool {
        self.home.remote.is_closed()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("runtime", &self.home.remote.id().number())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// No runtime is entered on this thread, and it makes no blocking call of one.
#[derive(Debug)]
pub struct TryCurrentError(());

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no runtime on this thread: {}", outside::remedy())
    }
}

impl std::error::Error for TryCurrentError {}
