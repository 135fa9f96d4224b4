//! The builder: collects the settings of a runtime, and makes the runtime from its parts.

use super::context::{self, Context};
use super::executor::{Config, Executor};
use super::handle::Runtime;
use super::remote::Remote;
use super::rng::{Rng, RngSeed};
use super::selector::{Kind, Selector};
use crate::runtime::executor::slow_polls;
use crate::runtime::executor::tasks::Tasks;
use crate::runtime::io::reactor::Reactor;
use crate::runtime::join::error::{JoinError, UnreadHook};
use crate::runtime::remote::blocking::{Hook, NameFn, Pool, Threads};
use crate::time::Driver;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// The default number of polls between two checks of timers and sockets, if the polls are short. A check costs some
/// 200 ns: with 128 polls between two of them it adds 2 ns to each poll.
const EVENT_INTERVAL: u32 = 128;

/// The default number of events that the loop takes from one wait. Each needs 12 bytes.
const MAX_IO_EVENTS: usize = 1024;

/// The default of [`Builder::timer_slack`].
const TIMER_SLACK: Duration = Duration::from_micros(100);

/// The default of [`Builder::auto_advance_grace`]. Loopback and short blocking calls answer well within this time, and
/// it does not make a test slow that only waits for timers.
const AUTO_ADVANCE_GRACE: Duration = Duration::from_millis(10);

/// The default of [`Builder::max_blocking_threads`], the same as tokio's: there are often many blocking calls, and
/// most of them sleep.
const MAX_BLOCKING_THREADS: usize = 512;

/// The default of [`Builder::thread_keep_alive`], the same as tokio's.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The environment variable that selects the mechanism for runtimes whose builder does not.
const SELECTOR_VARIABLE: &str = "RUNTIME_SELECTOR";

/// The effect that the panic of a spawned task has on the runtime. See [`Builder::unhandled_panic`].
///
/// A panic of a blocking call never has an effect. A panic of the future of `block_on` always is a panic of `block_on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnhandledPanic {
    /// The panic ends only that task, and its join handle returns it.
    Ignore,
    /// The runtime drops all its tasks, and `block_on` panics. After that, `block_on` panics whenever it is called, and
    /// a task that is spawned is dropped without being polled. It does not matter whether the task had a join handle.
    ShutdownRuntime,
}

/// Makes a [`Runtime`] with settings that differ from the defaults.
///
/// # Examples
///
/// ```
/// let runtime = runtime::Builder::new_current_thread()
///     .enable_all()
///     .event_interval(61)
///     .name("front")
///     .build()?;
/// assert_eq!(runtime.block_on(async { 1 + 1 }), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "call build to make the runtime"]
pub struct Builder {
    event_interval: u32,
    max_io_events: usize,
    timer_slack: Duration,
    start_paused: bool,
    auto_advance_grace: Duration,
    name: Option<String>,
    max_blocking_threads: usize,
    thread_keep_alive: Duration,
    /// Describes the threads of the blocking pool. An empty name means that the name is derived from the runtime's.
    threads: Threads,
    on_park: Option<Hook>,
    on_unpark: Option<Hook>,
    selector: Option<Kind>,
    unhandled_panic: UnhandledPanic,
    on_unread: Option<UnreadHook>,
    /// `None` if [`Builder::slow_poll_threshold`] has not been called.
    slow_poll_threshold: Option<Option<Duration>>,
    rng_seed: Option<RngSeed>,
}

impl Builder {
    /// Returns a builder with the default settings, for a runtime that runs on the thread that calls
    /// [`Runtime::block_on`]. There is no other kind of runtime.
    pub fn new_current_thread() -> Builder {
        Builder {
            event_interval: EVENT_INTERVAL,
            max_io_events: MAX_IO_EVENTS,
            timer_slack: TIMER_SLACK,
            start_paused: false,
            auto_advance_grace: AUTO_ADVANCE_GRACE,
            name: None,
            max_blocking_threads: MAX_BLOCKING_THREADS,
            thread_keep_alive: THREAD_KEEP_ALIVE,
            threads: Threads::default(),
            on_park: None,
            on_unpark: None,
            selector: None,
            unhandled_panic: UnhandledPanic::Ignore,
            on_unread: None,
            slow_poll_threshold: None,
            rng_seed: None,
        }
    }

    /// Does nothing, since sockets and timers are always enabled. It exists so that code written for tokio compiles.
    pub fn enable_all(&mut self) -> &mut Builder {
        self
    }

    /// Does nothing, since sockets are always enabled. It exists so that code written for tokio compiles.
    pub fn enable_io(&mut self) -> &mut Builder {
        self
    }

    /// Does nothing, since timers are always enabled. It exists so that code written for tokio compiles.
    pub fn enable_time(&mut self) -> &mut Builder {
        self
    }

    /// Sets the maximum number of polls between two checks of timers, sockets and messages from other threads. It is
    /// also the maximum number of timers that fire at once. The default is 128.
    ///
    /// However large the number is, the loop makes such a check about every half millisecond, as soon as the poll in
    /// progress returns. Tasks that a check wakes run next, in alternation with those that were queued before.
    ///
    /// # Panics
    ///
    /// Panics if `polls` is zero.
    #[track_caller]
    pub fn event_interval(&mut self, polls: u32) -> &mut Builder {
        assert!(polls > 0, "event_interval must be at least 1: otherwise the loop would never poll a task");
        self.event_interval = polls;
        self
    }

    /// Sets the maximum number of events that the loop takes from the kernel at once. Further events are taken in the
    /// next turn of the loop. The default is 1024.
    ///
    /// # Panics
    ///
    /// Panics if `events` is zero.
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, events: usize) -> &mut Builder {
        assert!(
            events > 0,
            "max_io_events_per_tick must be at least 1: otherwise no socket would become ready"
        );
        self.max_io_events = events;
        self
    }

    /// Sets the minimum time after timers have fired before a sleeping loop wakes up to fire further timers. The
    /// default is 100 µs.
    ///
    /// Timers that are close together fire in the same turn: with the default, a hundred thousand timers a second take
    /// ten thousand turns. A timer may fire late by up to this time, but it never fires early. Timers that are farther
    /// apart than this are not delayed.
    pub fn timer_slack(&mut self, slack: Duration) -> &mut Builder {
        self.timer_slack = slack;
        self
    }

    /// Sets whether the runtime starts with its clock paused, as after a call of [`time::pause`](crate::time::pause).
    /// The default is `false`.
    ///
    /// While a task waits for a socket, or a blocking call is in progress, the clock moves to the next deadline only
    /// after 10 ms of real time; see [`auto_advance_grace`](Builder::auto_advance_grace).
    pub fn start_paused(&mut self, start_paused: bool) -> &mut Builder {
        self.start_paused = start_paused;
        self
    }

    /// Sets how long the loop waits in real time before it moves a paused clock to the next deadline, while a task
    /// waits for a socket or a blocking call is in progress. The default is 10 ms.
    ///
    /// If an answer takes longer than this, any timeout expires before it arrives. So a test with a slow peer needs a
    /// longer time. With [`Duration::MAX`] the clock does not move as long as an awaited answer may still arrive. While
    /// a task waits for an answer that does not arrive, each move of the clock takes this long.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::time::{Duration, timeout};
    ///
    /// let runtime = runtime::Builder::new_current_thread()
    ///     .start_paused(true)
    ///     .auto_advance_grace(Duration::from_secs(10))
    ///     .build()?;
    /// runtime.block_on(async {
    ///     let slow = runtime::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(30)));
    ///     assert!(timeout(Duration::from_secs(1), slow).await.is_ok());
    /// });
    /// # std::io::Result::Ok(())
    /// ```
    pub fn auto_advance_grace(&mut self, grace: Duration) -> &mut Builder {
        self.auto_advance_grace = grace;
        self
    }

    /// Sets the name of the runtime. The names of its blocking threads begin with it, unless
    /// [`thread_name`](Builder::thread_name) is set.
    ///
    /// # Panics
    ///
    /// Panics if the name contains a zero byte.
    #[track_caller]
    pub fn name(&mut self, name: impl Into<String>) -> &mut Builder {
        let name = name.into();
        assert!(
            !name.contains('\0'),
            "the name of a runtime cannot contain a zero byte: it becomes the name of threads"
        );
        self.name = Some(name);
        self
    }

    /// Sets the maximum number of threads that run blocking calls. The default is 512.
    ///
    /// At most a quarter of the threads look up host names at the same time, or four of them if that is more. At least
    /// one thread is left for other calls, if there is more than one.
    ///
    /// # Panics
    ///
    /// Panics if `threads` is zero.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, threads: usize) -> &mut Builder {
        assert!(threads > 0, "max_blocking_threads must be at least 1: otherwise no blocking call would run");
        self.max_blocking_threads = threads;
        self
    }

    /// Sets how long an idle thread of the blocking pool waits for work before it ends. The default is 10 s.
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Builder {
        self.thread_keep_alive = duration;
        self
    }

    /// Sets the name of the threads that run blocking calls. The default is the name of the runtime followed by
    /// `-blocking`.
    ///
    /// # Panics
    ///
    /// Panics if the name contains a zero byte.
    #[track_caller]
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Builder {
        let name = name.into();
        assert!(!name.contains('\0'), "the name of a thread cannot contain a zero byte");
        self.threads.name = name;
        self.threads.name_fn = None;
        self
    }

    /// Sets a function that returns the name of each thread that runs blocking calls. It replaces a name that was set
    /// by [`thread_name`](Builder::thread_name).
    ///
    /// The function is called on the thread that spawns the call for which a thread is started. If it panics, the panic
    /// is caught. In that case, and if the name contains a zero byte, the thread has the default name.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// static STARTED: AtomicU32 = AtomicU32::new(0);
    /// let runtime = runtime::Builder::new_current_thread()
    ///     .thread_name_fn(|| format!("pool-{}", STARTED.fetch_add(1, Ordering::Relaxed)))
    ///     .build()?;
    /// let call = runtime.spawn_blocking(|| std::thread::current().name().map(str::to_owned));
    /// assert_eq!(runtime.block_on(call).unwrap().as_deref(), Some("pool-0"));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn thread_name_fn<F>(&mut self, f: F) -> &mut Builder
    where
        F: Fn() -> String + Send + Sync + 'static,
    {
        self.threads.name.clear();
        self.threads.name_fn = Some(NameFn::new(f));
        self
    }

    /// Sets the stack size, in bytes, of the threads that run blocking calls. The default is that of [`std::thread`].
    /// It does not apply to the thread that runs the loop, which the caller provides.
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Builder {
        self.threads.stack_size = Some(bytes);
        self
    }

    /// Sets a function that each thread of the blocking pool calls before its first blocking call. It replaces the
    /// function that was set before. If `f` panics, the panic is caught, and the thread goes on.
    pub fn on_thread_start(&mut self, f: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.threads.on_start = Some(Hook::new(f));
        self
    }

    /// Sets a function that each thread of the blocking pool calls before it ends. It replaces the function that was
    /// set before. If `f` panics, the panic is caught, and the thread ends as usual.
    pub fn on_thread_stop(&mut self, f: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.threads.on_stop = Some(Hook::new(f));
        self
    }

    /// Sets a function that the loop calls before it goes to sleep because it has no work. It replaces the function
    /// that was set before.
    ///
    /// `f` may wake and spawn tasks: the loop then runs these at once instead of sleeping. If `f` panics, `block_on`
    /// panics.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let sleeps = Arc::new(AtomicU32::new(0));
    /// let counter = sleeps.clone();
    /// let runtime = runtime::Builder::new_current_thread()
    ///     .on_thread_park(move || _ = counter.fetch_add(1, Ordering::Relaxed))
    ///     .build()?;
    /// runtime.block_on(runtime::time::sleep(std::time::Duration::from_millis(1)));
    /// assert!(sleeps.load(Ordering::Relaxed) > 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn on_thread_park(&mut self, f: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.on_park = Some(Hook::new(f));
        self
    }

    /// Sets a function that the loop calls after it has slept. It replaces the function that was set before.
    ///
    /// The loop also calls `f` if the function set by [`on_thread_park`](Builder::on_thread_park) has produced work,
    /// so that the loop did not sleep: the two functions are always called alternately. If `f` panics, `block_on`
    /// panics.
    pub fn on_thread_unpark(&mut self, f: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.on_unpark = Some(Hook::new(f));
        self
    }

    /// Does nothing, since there is no global queue. It exists so that code written for tokio compiles. How often
    /// messages from other threads are checked is set by [`event_interval`](Builder::event_interval).
    ///
    /// # Panics
    ///
    /// Panics if `interval` is zero.
    #[track_caller]
    pub fn global_queue_interval(&mut self, interval: u32) -> &mut Builder {
        assert!(interval > 0, "global_queue_interval must be at least 1");
        self
    }

    /// Sets the seed of the random numbers of the runtime. If it is not set, each runtime has a different one.
    ///
    /// `select!` takes from these numbers the order in which it polls its branches. With the same seed, a program that is
    /// deterministic otherwise makes the same choices each time.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::runtime::RngSeed;
    ///
    /// let choices = || {
    ///     let seed = RngSeed::from_bytes(b"some seed");
    ///     let runtime = runtime::Builder::new_current_thread().rng_seed(seed).build().unwrap();
    ///     runtime.block_on(async {
    ///         let mut choices = Vec::new();
    ///         for _ in 0..20 {
    ///             choices.push(runtime::select! {
    ///                 () = async {} => 1,
    ///                 () = async {} => 2,
    ///             });
    ///         }
    ///         choices
    ///     })
    /// };
    /// assert_eq!(choices(), choices());
    /// ```
    pub fn rng_seed(&mut self, seed: RngSeed) -> &mut Builder {
        self.rng_seed = Some(seed);
        self
    }

    /// Sets the mechanism by which the loop learns which descriptors are ready.
    ///
    /// If it is not set, the environment variable `RUNTIME_SELECTOR` selects it: `epoll`, `epoll-level`, `kqueue`,
    /// `poll` or `select`. If neither is set, the best mechanism of the system is used.
    ///
    /// Sockets and timers behave in the same way with all mechanisms. They differ in what a turn of the loop costs,
    /// and `select` cannot watch descriptors with numbers from 1024 on; see [`selector`](crate::selector).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::selector::Kind;
    ///
    /// let runtime = runtime::Builder::new_current_thread().selector(Kind::Poll).build()?;
    /// assert_eq!(runtime.selector(), Kind::Poll);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn selector(&mut self, kind: Kind) -> &mut Builder {
        self.selector = Some(kind);
        self
    }

    /// Sets the minimum duration of a poll that is reported as slow, by a line on standard error. With `None`, no poll
    /// is reported.
    ///
    /// While one future is polled, nothing else runs on the thread. So a poll that makes a blocking call, or that
    /// computes for a long time, delays every other task, timer and socket. The line names the task by its id, or says
    /// that it was the future passed to `block_on`. It says how long the poll took and, in debug builds, where the
    /// task was spawned.
    ///
    /// If it is not set here, the environment variable `RUNTIME_SLOW_POLL_MS` sets it, to a number of milliseconds or
    /// to `off`. If neither is set, the threshold is 100 ms in debug builds, and no poll is reported in release builds.
    /// With `None`, the check costs nothing; otherwise the loop reads the clock twice for each poll.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = runtime::Builder::new_current_thread()
    ///     .slow_poll_threshold(Duration::from_millis(10)) // in release builds, too
    ///     .build()?;
    /// runtime.block_on(async { std::thread::sleep(Duration::from_millis(20)) });
    /// // runtime: the future of block_on held up the loop for 20 ms
    /// # std::io::Result::Ok(())
    /// ```
    pub fn slow_poll_threshold(&mut self, threshold: impl Into<Option<Duration>>) -> &mut Builder {
        self.slow_poll_threshold = Some(threshold.into());
        self
    }

    /// Sets what happens when a spawned task panics. The default is [`UnhandledPanic::Ignore`].
    ///
    /// # Examples
    ///
    /// ```should_panic
    /// use runtime::runtime::{Builder, UnhandledPanic};
    ///
    /// let runtime = Builder::new_current_thread()
    ///     .unhandled_panic(UnhandledPanic::ShutdownRuntime)
    ///     .build()?;
    /// runtime.spawn(async { panic!("boom") });
    /// runtime.block_on(std::future::pending::<()>());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn unhandled_panic(&mut self, behavior: UnhandledPanic) -> &mut Builder {
        self.unhandled_panic = behavior;
        self
    }

    /// Sets a function that is called with the error of each task and each blocking call that panicked, if its join
    /// handle does not return that error. It replaces the function that was set before.
    ///
    /// The function is called when the second of these two has happened: the task has panicked, and its handle was
    /// dropped. For a handle that outlives the runtime, it is called when the runtime is dropped, if the task ran on
    /// the runtime's thread and was spawned there. The call may be made on any thread. A panic in `f` is caught.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = runtime::Builder::new_current_thread()
    ///     .on_unread_panic(|error| eprintln!("nobody has noticed that {error}"))
    ///     .build()?;
    /// runtime.block_on(async {
    ///     drop(runtime::spawn(async { panic!("oh") }));
    ///     runtime::task::yield_now().await;
    ///     // nobody has noticed that task 65537 panicked with message "oh"
    /// });
    /// # std::io::Result::Ok(())
    /// ```
    pub fn on_unread_panic(&mut self, f: impl Fn(&JoinError) + Send + Sync + 'static) -> &mut Builder {
        self.on_unread = Some(UnreadHook::new(f));
        self
    }

    /// Makes the runtime. It belongs to the calling thread. No other thread is started.
    ///
    /// # Errors
    ///
    /// Returns an error
    ///
    /// - if the kernel does not provide a selector, for example because the process is out of descriptors (`EMFILE`,
    ///   `ENFILE`);
    /// - of the kind [`Unsupported`](io::ErrorKind::Unsupported) if the system does not have the requested selector;
    ///   the message lists those that it has;
    /// - of the kind [`InvalidInput`](io::ErrorKind::InvalidInput) if `RUNTIME_SELECTOR` does not name a selector, or
    ///   if `RUNTIME_SLOW_POLL_MS` is neither a number of milliseconds nor `off`;
    /// - if the process has 65,535 runtimes already.
    pub fn build(&mut self) -> io::Result<Runtime> {
        let slow_poll_threshold = match self.slow_poll_threshold {
            Some(threshold) => threshold,
            None => slow_polls::default_threshold()?,
        };
        let selector = match self.selector {
            Some(kind) => Selector::with_room(kind, self.max_io_events)?,
            None => default_selector(self.max_io_events)?,
        };
        let remote = Remote::new(&selector, self.on_unread.clone(), self.name.as_deref().map(Box::from))?;
        let id = remote.id();
        let mut threads = self.threads.clone();
        if threads.name.is_empty() {
            threads.name = format!("{}-blocking", self.name.as_deref().unwrap_or("runtime"));
        }
        Driver::set_sender(context::take_out_timer);
        let context = Rc::new(Context {
            id,
            tasks: RefCell::new(Tasks::new(id)),
            reactor: RefCell::new(Reactor::new(id, selector)),
            time: Driver::new(id.bits(), self.start_paused),
            remote,
            is_guest: Cell::new(false),
            turns: Cell::new(0),
            polls: Cell::new(0),
            pool: Pool::new(self.max_blocking_threads, self.thread_keep_alive, threads),
            buffer_pool: RefCell::default(),
            losses: RefCell::default(),
            rng: Rng::new(&self.rng_seed.clone().unwrap_or_else(RngSeed::random)),
            running: Cell::new(0),
            sent_as: Cell::new(0),
        });
        context::register(&context);
        let event_interval = self.event_interval as usize;
        let config = Config {
            event_interval,
            timer_slack: self.timer_slack,
            auto_advance_grace: self.auto_advance_grace,
            on_park: self.on_park.clone(),
            on_unpark: self.on_unpark.clone(),
            slow_poll_threshold,
            shuts_down_on_panic: self.unhandled_panic == UnhandledPanic::ShutdownRuntime,
            wakers: self.max_io_events.min(MAX_IO_EVENTS) + event_interval.min(MAX_IO_EVENTS),
        };
        Ok(Runtime::from_executor(Executor::new(context, config)))
    }
}

#[cfg(feature = "cores")]
impl Builder {
    /// Has each blocking thread call `f` before the function that was set by
    /// [`on_thread_start`](Builder::on_thread_start).
    pub(super) fn before_thread_start(&mut self, f: impl Fn() + Send + Sync + 'static) {
        let next = self.threads.on_start.take();
        self.on_thread_start(move || {
            f();
            next.iter().for_each(Hook::call);
        });
    }
}

/// Makes the selector that the environment variable names, or else the best one of the system.
fn default_selector(room: usize) -> io::Result<Selector> {
    let Some(name) = std::env::var_os(SELECTOR_VARIABLE).filter(|name| !name.is_empty()) else {
        return Selector::best(room);
    };
    let kind = name.to_string_lossy().parse::<Kind>();
    let kind = kind.map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{SELECTOR_VARIABLE}: {error}"))
    })?;
    Selector::with_room(kind, room)
}
