//! The types by which users reach a runtime: the [`Runtime`] itself, which stays on its thread, and [`Handle`], which
//! can be used on any thread.

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
use std::num::NonZeroU64;
use std::panic::resume_unwind;
use std::time::Duration;

/// An async runtime: a loop on one thread that runs tasks, timers and sockets.
///
/// A runtime belongs to the thread that made it: it is neither `Send` nor `Sync`. Its loop turns while
/// [`block_on`](Runtime::block_on) is called on that thread, or when another loop that runs there calls
/// [`turn`](Runtime::turn). Other threads reach it through its [`Handle`], whose
/// documentation also shows how to keep a runtime in a `static`.
///
/// Dropping the runtime drops all of its tasks, on this thread, and closes every descriptor that the runtime has opened
/// for itself. It does not wait for blocking calls in progress. After that, its wakers do nothing and its handles are
/// [closed](Handle::is_closed).
///
/// # After fork(2)
///
/// A runtime belongs to the process that made it. A forked child can make its own runtimes, whatever the other threads
/// of the parent were doing with theirs at the time of the fork. In the child, the parent's runtime behaves as
/// follows:
///
/// - [`block_on`](Runtime::block_on) and [`turn`](Runtime::turn) panic when they have to wait, and [handles](Handle) are
///   closed.
/// - Join handles return an error for which [`is_cancelled`](crate::task::JoinError::is_cancelled) returns `true`. Only
///   handles from [`Handle::spawn`] and [`spawn_blocking`](crate::task::spawn_blocking) whose result had arrived before
///   the fork return that result.
/// - Sockets may be used in a runtime that the child makes, as long as the parent does not use them too.
/// - Dropping the runtime, a socket, a timer, a waker, a join handle or an in-memory stream changes nothing for the
///   parent, and does not wait for a thread that does not exist in the child. A message that a thread of the parent
///   was sending to the runtime at the time of the fork is leaked.
///
/// A child that was forked inside `block_on` is still inside `block_on`. It can run a runtime of its own on another
/// thread, or on the same thread after `block_on` has returned.
///
/// These promises cover this library only. The destructors of the futures in the parent's tasks run in the child as
/// well, and may wait for locks of their own. An object that another thread was using at the time of the fork, such as
/// a shared listener, may stay locked forever, and then a *use* of it in the child hangs. The same holds for objects
/// outside this library: the standard streams of std, and so the message of a panic; name look-ups of the C library;
/// the allocator, unless it supports fork, as glibc's does.
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
}

impl Runtime {
    /// Makes a runtime with the default settings of [`Builder`].
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`Builder::build`].
    pub fn new() -> io::Result<Runtime> {
        Builder::new_current_thread().build()
    }

    pub(crate) fn from_executor(executor: Executor) -> Runtime {
        let handle = Handle { home: executor.context().home() };
        Runtime { executor, handle }
    }

    /// Runs the loop on this thread until `future` is ready, and returns its output.
    ///
    /// The future runs alternately with the tasks, and needs to be neither `Send` nor `'static`. `block_on` may be
    /// called any number of times. Tasks that have not ended when it returns continue in the next call.
    ///
    /// # Panics
    ///
    /// Panics if `future` panics, or if `block_on` or `turn` of any runtime is already running on this thread.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.executor.block_on(future)
    }

    /// Spawns a task, which runs while [`block_on`](Runtime::block_on) or [`turn`](Runtime::turn) is called. See
    /// [`spawn`](crate::spawn).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawn::spawn_on(self.context(), future)
    }

    /// Runs a blocking call on a thread of the runtime's pool. See
    /// [`task::spawn_blocking`](crate::task::spawn_blocking).
    pub fn spawn_blocking<F, T>(&self, call: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn::spawn_on_pool(&self.handle.home, call)
    }

    /// Returns the handle of the runtime, through which other threads reach it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Drops the runtime, and then waits for its blocking calls to return and for their threads to call the function
    /// set by [`on_thread_stop`](Builder::on_thread_stop), but no longer than `timeout`.
    pub fn shutdown_timeout(self, timeout: Duration) {
        let pool = self.context().pool.clone();
        // They are among what is waited for below.
        pool.writes.abandon();
        drop(self);
        pool.wait_until_empty(timeout);
    }

    /// Drops the runtime without waiting for anything that its blocking threads do. In this it differs from `drop`,
    /// which waits for the writes to files (`fs::File`) that have been accepted, though for 10 s at most.
    pub fn shutdown_background(self) {
        self.context().pool.writes.abandon();
    }

    /// Returns the mechanism by which the loop learns which descriptors are ready. See [`Builder::selector`].
    pub fn selector(&self) -> Kind {
        self.context().remote.selector()
    }

    /// Returns counts of what the runtime has done so far and of what it holds now.
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    pub(super) fn executor(&self) -> &Executor {
        &self.executor
    }

    fn context(&self) -> &Context {
        self.executor.context()
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("name", &self.handle.name())
            .field("selector", &self.selector())
            .field("metrics", &self.metrics())
            .finish()
    }
}

/// Makes a runtime, runs its loop until `future` is ready, and drops it. Returns the output of the future.
///
/// This is for programs with a single runtime. [`#[runtime::main]`](macro@crate::main) does the same for `main`.
///
/// # Panics
///
/// Panics if no runtime can be made (see [`Builder::build`]), and in the same cases as [`Runtime::block_on`].
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
        Err(error) => panic!("the runtime could not be made: {error}"),
    }
}

/// A handle to a runtime, which can be used on any thread.
///
/// Cloning a handle is cheap. A handle does not keep its runtime alive.
///
/// # Examples
///
/// A [`Runtime`] stays on its thread. A program that wants one runtime for all its threads, in a `static`, runs it on
/// a thread of its own and stores the handle:
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
///             // Runs the loop for as long as the program runs.
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
    /// Returns the handle of the runtime that is entered on this thread. In a [blocking
    /// call](crate::task::spawn_blocking), returns the handle of the runtime that the call belongs to.
    ///
    /// # Panics
    ///
    /// Panics if there is no such runtime.
    #[track_caller]
    pub fn current() -> Handle {
        match context::home() {
            Some(home) => Handle { home },
            None => outside::called("Handle::current"),
        }
    }

    /// Returns the same handle as [`current`](Handle::current), but an error instead of a panic.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such runtime.
    pub fn try_current() -> Result<Handle, TryCurrentError> {
        context::home().map(|home| Handle { home }).ok_or(TryCurrentError(()))
    }

    /// Spawns a task on the runtime's thread. The join handle may be awaited on any thread.
    ///
    /// If more than a thousand tasks from other threads wait to be started, and the loop is running, the calling
    /// thread waits for the loop to catch up, for at most a millisecond.
    ///
    /// If the runtime has been dropped, the future is dropped on the calling thread, before this method returns. The
    /// join handle then returns an error for which [`is_cancelled`](crate::task::JoinError::is_cancelled) returns
    /// `true`, or the panic if dropping the future panics.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn::spawn_remote(&self.home.remote, future)
    }

    /// Runs a blocking call on a thread of the runtime's pool. See
    /// [`task::spawn_blocking`](crate::task::spawn_blocking).
    pub fn spawn_blocking<F, T>(&self, call: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn::spawn_on_pool(&self.home, call)
    }

    /// Runs `future` on the runtime's thread, and blocks the calling thread until its output is available.
    ///
    /// The loop has to run meanwhile: if the runtime's thread calls neither [`Runtime::block_on`] nor
    /// [`Runtime::turn`], this method waits until it does, possibly forever.
    ///
    /// Unlike in tokio, the future is sent to the runtime's thread, since only that thread can drive its sockets and
    /// timers. That is why it has to be `Send` and `'static`.
    ///
    /// # Panics
    ///
    /// Panics
    ///
    /// - if the future panics, with the same payload;
    /// - if the runtime has been dropped, or is dropped before the future is done;
    /// - if the calling thread runs a runtime, since this call would block its loop;
    /// - if the calling thread owns the runtime, since no other thread can run its loop.
    #[track_caller]
    pub fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        assert!(
            !context::is_turning(),
            "Handle::block_on inside a runtime: this would stop its loop; await Handle::spawn instead"
        );
        assert!(
            context::local(self.home.remote.id()).is_none(),
            "Handle::block_on on the thread that owns the runtime, whose loop no other thread can run: \
             call Runtime::block_on here, and Handle::block_on on other threads"
        );
        let result = self.spawn(future).wait();
        match result.map_err(|error| error.try_into_panic()) {
            Ok(output) => output,
            Err(Ok(payload)) => resume_unwind(payload),
            Err(Err(error)) => panic!("the runtime has gone: {error}"),
        }
    }

    /// Returns the mechanism by which the loop of the runtime learns which descriptors are ready. See
    /// [`Builder::selector`].
    pub fn selector(&self) -> Kind {
        self.home.remote.selector()
    }

    /// Returns counts of what the runtime has done so far and of what it holds now.
    ///
    /// On the thread of the runtime, the counts are exact. On other threads they are those of the time when the loop last
    /// went to sleep, or at most some tens of milliseconds old while it is busy;
    /// [`global_queue_depth`](RuntimeMetrics::global_queue_depth) is always that of this moment.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(std::future::pending::<()>());
    /// assert_eq!(runtime::Handle::current().metrics().num_alive_tasks(), 1);
    /// # task.abort();
    /// # });
    /// ```
    pub fn metrics(&self) -> RuntimeMetrics {
        match context::local(self.home.remote.id()) {
            Some(context) => {
                RuntimeMetrics { global_queue_depth: self.home.remote.messages(), ..context.counts() }
            }
            None => self.home.remote.published(),
        }
    }

    /// Returns an identifier of the runtime. No two runtimes of a process have the same.
    pub fn id(&self) -> Id {
        // Runtimes are numbered from 1, so the bits are never zero.
        Id(NonZeroU64::new(self.home.remote.id().bits()).unwrap_or(NonZeroU64::MIN))
    }

    /// Returns the name that was set by [`Builder::name`].
    pub fn name(&self) -> Option<&str> {
        self.home.remote.name()
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// Returns `true` if the runtime has been dropped. In a forked child, this also returns `true` for a runtime of
    /// the parent.
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

/// An identifier of a runtime, returned by [`Handle::id`]. It is displayed as a number, which does not tell the order in
/// which runtimes were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(NonZeroU64);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The error returned by [`Handle::try_current`] if there is no runtime on the calling thread.
#[derive(Debug)]
pub struct TryCurrentError(());

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no runtime on this thread: {}", outside::remedy())
    }
}

impl std::error::Error for TryCurrentError {}
