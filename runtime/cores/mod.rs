//! One runtime on each core: the same async function on several threads, each with a loop of its own.
//!
//! ```text
//! caller      spawn threads ─► wait for all ─► go ─────────────────► join ─► outputs, in order
//! thread 0    pin, make a runtime ─► report ─► block_on(main(core)) ─► drop the runtime
//! thread 1    pin, make a runtime ─► report ─► block_on(main(core)) ─► drop the runtime
//! ```
//!
//! Nothing is shared between the loops: no run queue, no lock, no reactor. Each thread listens for
//! itself, at the same address (`SO_REUSEPORT`), and the kernel deals the connections out. Where that is
//! not enough, a stream accepted here can be served there, by [`Core::handles`].
//!
//! No thread runs anything of the caller's before all of them are ready to, so that a start that
//! fails has no effects. From then on the first failure ends the others.
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
// Tried everywhere, so that it compiles.
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
#[cfg_attr(test, allow(dead_code))]
mod anywhere;
mod core;
mod error;
mod stop;
mod threads;

pub use self::core::Core;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use anywhere as affinity;
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
/// [`run`](PerCore::run) returns when all threads have ended, none is left behind, and whatever they
/// ran may borrow from the caller. If one panics, or with [`try_run`](PerCore::try_run) gives an
/// error, the others are stopped: in its next turn each loop drops its main future, then its
/// tasks, all on their own thread. A future that computes or blocks without an await cannot be
/// stopped, and is waited for. A panic in a task that was spawned ends that task alone, as ever.
///
/// # Pinning
///
/// [`pin`](PerCore::pin) keeps each thread on one CPU. That is worth something where the machine, or
/// a set of its CPUs, belongs to the program; where others run on the same CPUs, a pinned thread waits
/// while another CPU is idle. Blocking calls are not pinned: the threads of the pool may run wherever the caller
/// of [`run`](PerCore::run) may. Linux and Android can pin; elsewhere threads run anywhere, and
/// [`Core::cpu`] says `None`.
///
/// # Examples
///
/// An echo server on all cores, each with its own listener at the same port:
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

/// Where the threads run.
#[derive(Clone, Debug)]
enum Cpus {
    Anywhere,
    Allowed,
    These(Vec<usize>),
}

impl PerCore {
    /// As many threads as can run at once, see [`threads`](PerCore::threads), not pinned.
    pub fn new() -> PerCore {
        PerCore {
            threads: None,
            cpus: Cpus::Anywhere,
            name: "core".to_owned(),
            stack_size: None,
            builder: Builder::new_current_thread(),
        }
    }

    /// How many threads. Unless set, as many as std's
    /// [`available_parallelism`](thread::available_parallelism) says, which knows of a container's
    /// CPUs and quota; and as many as CPUs that were named by [`pin_to`](PerCore::pin_to).
    ///
    /// # Panics
    ///
    /// If `threads` is zero.
    #[track_caller]
    pub fn threads(&mut self, threads: usize) -> &mut PerCore {
        let threads = NonZeroUsize::new(threads);
        assert!(threads.is_some(), "threads must be at least 1: nothing would run");
        self.threads = threads;
        self
    }

    /// Whether each thread is kept on a CPU of its own: the first on the first that the caller may
    /// run on, and so forth, and from the first again if there are more threads than CPUs.
    pub fn pin(&mut self, pin: bool) -> &mut PerCore {
        self.cpus = if pin { Cpus::Allowed } else { Cpus::Anywhere };
        self
    }

    /// As [`pin`](PerCore::pin), on these CPUs, as the system numbers them.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[track_caller]
    pub fn pin_to(&mut self, cpus: impl IntoIterator<Item = usize>) -> &mut PerCore {
        let cpus: Vec<usize> = cpus.into_iter().collect();
        assert!(!cpus.is_empty(), "pin_to needs at least one CPU");
        self.cpus = Cpus::These(cpus);
        self
    }

    /// What the threads and their runtimes are called: with the name `web`, `web-0`, `web-1` and so
    /// forth. `core` unless set.
    ///
    /// # Panics
    ///
    /// If the name contains a zero byte.
    #[track_caller]
    pub fn name(&mut self, name: impl Into<String>) -> &mut PerCore {
        let name = name.into();
        assert!(!name.contains('\0'), "the name of a thread cannot contain a zero byte");
        self.name = name;
        self
    }

    /// How large the threads' stacks are, in bytes. As std has it unless set.
    pub fn stack_size(&mut self, bytes: usize) -> &mut PerCore {
        self.stack_size = Some(bytes);
        self
    }

    /// How the runtimes are made. Their names are the threads'.
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

    /// Calls `main` on each thread, runs the future that it gives, and returns the outputs when all
    /// have ended, in the order of the threads.
    ///
    /// The future is made on its thread, and need not be `Send`. Tasks that are left when it is
    /// ready are dropped with its runtime.
    ///
    /// # Errors
    ///
    /// [`CoreError`]: the first panic, with which it can be
    /// [resumed](CoreError::into_panic); or why a thread could not be started, in which case `main` has
    /// not been called at all.
    ///
    /// # Panics
    ///
    /// On a thread that drives a runtime, whose loop this would stop.
    #[track_caller]
    pub fn run<F, T>(&self, main: F) -> Result<Vec<T>, CoreError>
    where
        F: AsyncFn(Core) -> T + Sync,
        T: Send,
    {
        self.try_run(async |core| Ok::<_, Infallible>(main(core).await))
    }

    /// As [`run`](PerCore::run), of a function that gives results: the first error stops the other
    /// threads, as a panic does.
    ///
    /// # Errors
    ///
    /// [`CoreError`]: the first error, to be had by [`try_into_inner`](CoreError::try_into_inner);
    /// and those of [`run`](PerCore::run). One of `io::Error` becomes an `io::Error` by `?`.
    ///
    /// # Panics
    ///
    /// As [`run`](PerCore::run).
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
            !context::is_entered(),
            "PerCore inside a runtime: this would stop its loop; call it from main, or from spawn_blocking"
        );
        let allowed = match self.cpus {
            Cpus::Anywhere => Vec::new(),
            _ => affinity::allowed().map_err(|error| CoreError::start(0, error))?,
        };
        let cpus = match &self.cpus {
            // Not even those that were named, where none can be chosen.
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
            // Where it cannot be told, one thread can run for sure.
            (None, _) => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }
}

impl Default for PerCore {
    fn default() -> PerCore {
        PerCore::new()
    }
}
