//! Runs the same async function on several threads, each with a runtime of its own.
//!
//! ```text
//! caller      spawn threads ─► wait for all ─► go ─────────────────► join ─► outputs, in order
//! thread 0    pin, make a runtime ─► report ─► block_on(main(core)) ─► drop the runtime
//! thread 1    pin, make a runtime ─► report ─► block_on(main(core)) ─► drop the runtime
//! ```
//!
//! The loops share nothing: no run queue, no lock, no reactor. Each thread has its own listener at the same address
//! (`SO_REUSEPORT`), and the kernel distributes the connections among them. Where that is not enough, a stream that
//! one thread has accepted can be served on another thread, through [`Core::handles`].
//!
//! No thread calls the given function before all of them are ready, so a failed start has no side effects. After that,
//! the first failure stops the other threads.
//!
//! # Examples
//!
//! ```
//! use runtime::cores::PerCore;
//!
//! let squares = PerCore::new().threads(4).name("square").run(async |core| core.index() * core.index())?;
//! assert_eq!(squares, [0, 1, 4, 9]);
//! # Ok::<(), runtime::cores::CoreError>(())
//! ```

#[cfg(any(target_os = "linux", target_os = "android"))]
mod affinity;
// Compiled for tests on every system, so that errors in it are noticed.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
#[cfg_attr(test, allow(dead_code))]
mod affinity_unsupported;
mod core;
mod error;
mod stop;
mod threads;

pub use self::core::Core;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use affinity_unsupported as affinity;
pub use error::CoreError;

use super::builder::Builder;
use super::context;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::thread;

/// Runs an async function on several threads, each with a runtime of its own.
///
/// # What ends when
///
/// [`run`](PerCore::run) returns when all threads have ended. No thread is left behind, so the function may borrow
/// from the caller.
///
/// If one thread panics, or returns an error with [`try_run`](PerCore::try_run), the others are stopped: each loop
/// drops its main future in its next turn, and then its tasks, all on their own thread. A future that computes or
/// blocks without an await cannot be stopped, and `run` waits for it. A panic in a spawned task ends only that task.
///
/// # Pinning
///
/// [`pin`](PerCore::pin) keeps each thread on one CPU. This helps if the machine, or a set of its CPUs, belongs to the
/// program. If other programs use the same CPUs, a pinned thread has to wait even while another CPU is idle.
///
/// Blocking calls are not pinned: the threads of the pool may run on every CPU that the caller of
/// [`run`](PerCore::run) may use. Threads can be pinned on Linux and Android. On other systems they run on any CPU,
/// and [`Core::cpu`] returns `None`.
///
/// # Examples
///
/// An echo server on all cores. Each thread has its own listener at the same port:
///
/// ```no_run
/// use runtime::cores::PerCore;
/// use runtime::net::{TcpListener, TcpSocket};
/// use std::io;
///
/// fn listen(address: std::net::SocketAddr) -> io::Result<TcpListener> {
///     let socket = TcpSocket::new_v4()?;
///     socket.set_reuseport(true)?;
///     socket.bind(address)?;
///     socket.listen(1024)
/// }
///
/// PerCore::new().pin(true).name("echo").try_run(async |_| {
///     let listener = listen(([127, 0, 0, 1], 7000).into())?;
///     loop {
///         let (stream, _) = listener.accept().await?;
///         runtime::spawn(async move {
///             runtime::io::copy(&stream, &stream).await
///         });
///     }
///     # #[allow(unreachable_code)]
///     io::Result::Ok(())
/// })?;
/// # io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "call run to start the threads"]
pub struct PerCore {
    threads: Option<NonZeroUsize>,
    cpus: Cpus,
    name: String,
    stack_size: Option<usize>,
    builder: Builder,
}

/// The CPUs on which the threads run.
#[derive(Clone, Debug)]
enum Cpus {
    Anywhere,
    Allowed,
    These(Vec<usize>),
}

impl PerCore {
    /// Creates a configuration with the default number of threads (see [`threads`](PerCore::threads)), which are not
    /// pinned.
    pub fn new() -> PerCore {
        PerCore {
            threads: None,
            cpus: Cpus::Anywhere,
            name: "core".to_owned(),
            stack_size: None,
            builder: Builder::new_current_thread(),
        }
    }

    /// Sets the number of threads.
    ///
    /// The default is the number of CPUs passed to [`pin_to`](PerCore::pin_to), or else the number that
    /// [`available_parallelism`](thread::available_parallelism) of std returns, which takes the CPUs and the quota of
    /// a container into account.
    ///
    /// # Panics
    ///
    /// Panics if `threads` is zero.
    #[track_caller]
    pub fn threads(&mut self, threads: usize) -> &mut PerCore {
        let threads = NonZeroUsize::new(threads);
        assert!(threads.is_some(), "threads must be at least 1: otherwise nothing would run");
        self.threads = threads;
        self
    }

    /// Sets whether each thread is pinned to one CPU. The CPUs that the caller may run on are assigned to the threads
    /// in turn: the first thread gets the first CPU, and so on. If there are more threads than CPUs, several threads
    /// share a CPU. The default is `false`.
    pub fn pin(&mut self, pin: bool) -> &mut PerCore {
        self.cpus = if pin { Cpus::Allowed } else { Cpus::Anywhere };
        self
    }

    /// Pins each thread to one of the given CPUs, in turn. The CPUs are numbered as the system numbers them. In
    /// contrast, [`pin`](PerCore::pin) uses all the CPUs that the caller may run on.
    ///
    /// # Panics
    ///
    /// Panics if no CPU is given.
    #[track_caller]
    pub fn pin_to(&mut self, cpus: impl IntoIterator<Item = usize>) -> &mut PerCore {
        let cpus: Vec<usize> = cpus.into_iter().collect();
        assert!(!cpus.is_empty(), "pin_to needs at least one CPU");
        self.cpus = Cpus::These(cpus);
        self
    }

    /// Sets the name of the threads and their runtimes, to which the index of each thread is added: with the name
    /// `web` they are called `web-0`, `web-1` and so on. The default is `core`.
    ///
    /// # Panics
    ///
    /// Panics if the name contains a zero byte.
    #[track_caller]
    pub fn name(&mut self, name: impl Into<String>) -> &mut PerCore {
        let name = name.into();
        assert!(!name.contains('\0'), "the name of a thread cannot contain a zero byte");
        self.name = name;
        self
    }

    /// Sets the stack size of the threads, in bytes. The default is that of [`std::thread`].
    pub fn stack_size(&mut self, bytes: usize) -> &mut PerCore {
        self.stack_size = Some(bytes);
        self
    }

    /// Sets the builder that makes the runtimes. A name set in it is replaced by the name of the thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::Builder;
    /// use runtime::cores::PerCore;
    ///
    /// PerCore::new()
    ///     .threads(2)
    ///     .builder(Builder::new_current_thread().event_interval(61))
    ///     .run(async |_| ())?;
    /// # Ok::<(), runtime::cores::CoreError>(())
    /// ```
    pub fn builder(&mut self, builder: &Builder) -> &mut PerCore {
        self.builder = builder.clone();
        self
    }

    /// Calls `main` on each thread, runs the future that it returns, and waits until all futures are ready. Returns
    /// their outputs, in the order of the threads.
    ///
    /// Each future is made on its own thread, and need not be `Send`. Tasks that have not ended when it is ready are
    /// dropped with the runtime of that thread.
    ///
    /// # Errors
    ///
    /// Returns a [`CoreError`] if a thread panicked, with the payload of the first panic (see
    /// [`into_panic`](CoreError::into_panic)), or if a thread could not be started. In the latter case `main` has not
    /// been called at all.
    ///
    /// # Panics
    ///
    /// Panics if the calling thread runs a runtime, since this call would block its loop.
    #[track_caller]
    pub fn run<F, T>(&self, main: F) -> Result<Vec<T>, CoreError>
    where
        F: AsyncFn(Core) -> T + Sync,
        T: Send,
    {
        self.try_run(async |core| Ok::<_, Infallible>(main(core).await))
    }

    /// Does the same as [`run`](PerCore::run) with a function that returns a `Result`. The first error stops the other
    /// threads, just as a panic does.
    ///
    /// # Errors
    ///
    /// Returns a [`CoreError`] with the first error (see [`try_into_inner`](CoreError::try_into_inner)), and in the
    /// same cases as [`run`](PerCore::run). The `?` operator converts a `CoreError<io::Error>` into an `io::Error`.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`run`](PerCore::run).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::cores::PerCore;
    ///
    /// let error = PerCore::new()
    ///     .threads(2)
    ///     .try_run(async |core| if core.index() == 0 { Err("no") } else { std::future::pending().await })
    ///     .map(|_: Vec<()>| ())
    ///     .unwrap_err();
    /// assert_eq!(error.try_into_inner().unwrap(), "no");
    /// ```
    #[track_caller]
    pub fn try_run<F, T, E>(&self, main: F) -> Result<Vec<T>, CoreError<E>>
    where
        F: AsyncFn(Core) -> Result<T, E> + Sync,
        T: Send,
        E: Send,
    {
        assert!(
            !context::is_turning(),
            "PerCore inside a runtime: this would stop its loop; call it from main, or from spawn_blocking"
        );
        let allowed = match self.cpus {
            Cpus::Anywhere => Vec::new(),
            _ => affinity::allowed().map_err(|error| CoreError::start(0, error))?,
        };
        let cpus = match &self.cpus {
            // Where no CPU can be chosen, the CPUs passed to `pin_to` are ignored as well.
            _ if allowed.is_empty() => &[][..],
            Cpus::These(cpus) => cpus,
            _ => &allowed,
        };
        let plan = threads::Plan {
            threads: self.count(),
            cpus,
            allowed: &allowed,
            name: &self.name,
            stack_size: self.stack_size,
            builder: &self.builder,
        };
        plan.run(main)
    }

    fn count(&self) -> usize {
        match (self.threads, &self.cpus) {
            (Some(threads), _) => threads.get(),
            (None, Cpus::These(cpus)) => cpus.len(),
            // If the number is unknown, one thread can certainly run.
            (None, _) => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }
}

impl Default for PerCore {
    fn default() -> PerCore {
        PerCore::new()
    }
}
