//! How a runtime is made.

use super::context::{self, Context};
use super::executor::{Config, Executor};
use super::handle::Runtime;
use super::remote::Remote;
use super::selector::{Kind, Selector};
use crate::runtime::executor::slow_polls;
use crate::runtime::executor::tasks::Tasks;
use crate::runtime::io::reactor::Reactor;
use crate::runtime::remote::blocking::{Hook, Pool, Threads};
use crate::time::Driver;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Polls between two looks at the kernel, if they are short. A look costs some 200 ns: at 128 polls it adds
/// 2 ns to each.
const EVENT_INTERVAL: u32 = 128;

/// Events taken from one wait, 12 bytes each.
const MAX_IO_EVENTS: usize = 1024;

/// See [`Builder::timer_slack`].
const TIMER_SLACK: Duration = Duration::from_micros(100);

/// See [`Builder::auto_advance_grace`]: loopback and short calls answer well within, and a test that only waits for
/// timers does not get slow.
const AUTO_ADVANCE_GRACE: Duration = Duration::from_millis(10);

/// As in tokio: calls that block are often many and mostly asleep.
const MAX_BLOCKING_THREADS: usize = 512;

/// As in tokio.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Names the selector of runtimes whose builder names none.
const SELECTOR_VARIABLE: &str = "RUNTIME_SELECTOR";

/// Makes a [`Runtime`].
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
    /// Of the blocking threads. The name is that of the runtime unless set.
    threads: Threads,
    on_park: Option<Hook>,
    on_unpark: Option<Hook>,
    selector: Option<Kind>,
    /// What the builder was told, if anything.
    slow_poll_threshold: Option<Option<Duration>>,
}

impl Builder {
    /// A runtime on the thread that calls `block_on`: the only kind there is.
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
            slow_poll_threshold: None,
        }
    }

    /// Does nothing: sockets and timers are always there. Accepted so that porting is a rename.
    pub fn enable_all(&mut self) -> &mut Builder {
        self
    }

    /// Does nothing: sockets are always there. Accepted so that porting is a rename.
    pub fn enable_io(&mut self) -> &mut Builder {
        self
    }

    /// Does nothing: timers are always there. Accepted so that porting is a rename.
    pub fn enable_time(&mut self) -> &mut Builder {
        self
    }

    /// Sets the maximum number of polls between two looks at timers, sockets and what other threads have sent;
    /// also the maximum number of timers that fire at once. The default is 128.
    ///
    /// However large it is, the loop looks about every half millisecond, after the poll that is under way. Tasks
    /// that are woken by such a look run next, by turns with those that were queued before.
    ///
    /// # Panics
    ///
    /// If `polls` is zero.
    #[track_caller]
    pub fn event_interval(&mut self, polls: u32) -> &mut Builder {
        assert!(polls > 0, "event_interval must be at least 1: the loop has to poll something");
        self.event_interval = polls;
        self
    }

    /// How many events at most the loop takes from the kernel at once; what is left comes in its
    /// next turn. 1024 unless set.
    ///
    /// # Panics
    ///
    /// If `events` is zero.
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, events: usize) -> &mut Builder {
        assert!(events > 0, "max_io_events_per_tick must be at least 1: sockets would never become ready");
        self.max_io_events = events;
        self
    }

    /// How long the loop sleeps at least after a turn that fired timers. 100 µs unless set.
    ///
    /// Dense timers are thereby served together, a hundred thousand a second in ten thousand turns;
    /// a timer may fire later by this much, but never earlier. Sparse timers are not delayed.
    pub fn timer_slack(&mut self, slack: Duration) -> &mut Builder {
        self.timer_slack = slack;
        self
    }

    /// Whether the runtime starts with its clock paused, as after [`time::pause`](crate::time::pause).
    ///
    /// While a socket or a blocking call is waited for, the clock moves to the next deadline only after 10 ms of real
    /// time; see [`auto_advance_grace`](Builder::auto_advance_grace).
    pub fn start_paused(&mut self, start_paused: bool) -> &mut Builder {
        self.start_paused = start_paused;
        self
    }

    /// Sets how long the loop waits in real time before it moves a paused clock to the next deadline, while a
    /// socket has a waiter or a blocking call is under way. The default is 10 ms.
    ///
    /// An answer that takes longer than this loses against any timeout. So a test of a slow peer wants more;
    /// [`Duration::MAX`] lets the clock stand for as long as anything is waited for that may still come. Each jump of
    /// the clock then takes this long if nothing comes.
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

    /// A name for the runtime, which its blocking threads bear too.
    ///
    /// # Panics
    ///
    /// If the name contains a zero byte.
    #[track_caller]
    pub fn name(&mut self, name: impl Into<String>) -> &mut Builder {
        let name = name.into();
        assert!(!name.contains('\0'), "the name of a runtime cannot contain a zero byte: threads bear it");
        self.name = Some(name);
        self
    }

    /// How many threads at most make blocking calls. 512 unless set. At most a quarter of them look up names at the same
    /// time, or four if that is more, and as long as there is one more.
    ///
    /// # Panics
    ///
    /// If `threads` is zero.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, threads: usize) -> &mut Builder {
        assert!(threads > 0, "max_blocking_threads must be at least 1: no blocking call would be made");
        self.max_blocking_threads = threads;
        self
    }

    /// How long an idle blocking thread stays. 10 s unless set.
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Builder {
        self.thread_keep_alive = duration;
        self
    }

    /// What the blocking threads are called. Unless set, as the runtime is, with `-blocking` behind.
    ///
    /// # Panics
    ///
    /// If the name contains a zero byte.
    #[track_caller]
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Builder {
        let name = name.into();
        assert!(!name.contains('\0'), "the name of a thread cannot contain a zero byte");
        self.threads.name = name;
        self
    }

    /// How large the stacks of blocking threads are, in bytes. As std has it unless set. The
    /// runtime's own thread is made by you.
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Builder {
        self.threads.stack_size = Some(bytes);
        self
    }

    /// Has each blocking thread call `f` before its first call. Only the latest one set is called. A
    /// panic in it ends there.
    pub fn on_thread_start(&mut self, f: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.threads.on_start = Some(Hook::new(f));
        self
    }

    /// Has each blocking thread call `f` before it ends. Only the latest one set is called. A panic
    /// in it ends there.
    pub fn on_thread_stop(&mut self, f: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.threads.on_stop = Some(Hook::new(f));
        self
    }

    /// Has the loop call `f` before it sleeps for want of work. Only the latest one set is called.
    ///
    /// `f` may wake tasks and spawn some, which then run at once instead. A panic in it is one of `block_on`.
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

    /// Has the loop call `f` when it has slept, or would have, had not the function that is called
    /// [before](Builder::on_thread_park) brought forth work: the two take turns. Only the latest one set is
    /// called. A panic in it is one of `block_on`.
    pub fn on_thread_unpark(&mut self, f: impl Fn() + Send + Sync + 'static) -> &mut Builder {
        self.on_unpark = Some(Hook::new(f));
        self
    }

    /// Does nothing: there is one queue. Accepted so that porting is a rename; see
    /// [`event_interval`](Builder::event_interval), which also says when the inbox is looked at.
    ///
    /// # Panics
    ///
    /// If `interval` is zero.
    #[track_caller]
    pub fn global_queue_interval(&mut self, interval: u32) -> &mut Builder {
        assert!(interval > 0, "global_queue_interval must be at least 1");
        self
    }

    /// By which mechanism the loop learns what is ready. The best that the system has, unless set
    /// here or, for all runtimes that set none, by the environment variable `RUNTIME_SELECTOR`:
    /// `epoll`, `epoll-level`, `kqueue`, `poll` or `select`.
    ///
    /// Sockets and timers behave alike on all; what differs is what a turn costs, and that `select` takes no
    /// descriptor from 1024 on, see [`selector`](crate::selector).
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

    /// Sets how long a poll may take before a line on standard error says so; `None` for however long.
    ///
    /// While one future is polled, nothing else runs on the thread. So a poll that makes a blocking call, or computes
    /// for long, holds up every other task, timer and socket. The line names the task by its id, or the future of
    /// `block_on`, says how long the poll took, and in debug builds where the task was spawned.
    ///
    /// Unless it is set here, the environment variable `RUNTIME_SLOW_POLL_MS` sets it: a number of milliseconds, or
    /// `off`. Without that it is 100 ms in debug builds, and in release builds no poll is reported. A runtime that
    /// reports none does nothing for it; one that does reads the clock twice for each poll.
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

    /// Makes the runtime. It belongs to this thread, and starts no other.
    ///
    /// # Errors
    ///
    /// - If the kernel gives no selector (out of descriptors: `EMFILE`, `ENFILE`).
    /// - [`Unsupported`](io::ErrorKind::Unsupported) if the selector that was asked for is not there;
    ///   the message lists those that are.
    /// - [`InvalidInput`](io::ErrorKind::InvalidInput) if `RUNTIME_SELECTOR` names no selector, or
    ///   `RUNTIME_SLOW_POLL_MS` is no number of milliseconds.
    /// - If the process has 65,535 runtimes.
    pub fn build(&mut self) -> io::Result<Runtime> {
        let slow_poll_threshold = match self.slow_poll_threshold {
            Some(threshold) => threshold,
            None => slow_polls::default_threshold()?,
        };
        let selector = match self.selector {
            Some(kind) => Selector::with_room(kind, self.max_io_events)?,
            None => default_selector(self.max_io_events)?,
        };
        let remote = Remote::new(&selector)?;
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
            pool: Pool::new(self.max_blocking_threads, self.thread_keep_alive, threads),
            buffer_pool: RefCell::default(),
            losses: RefCell::default(),
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
            wakers: self.max_io_events.min(MAX_IO_EVENTS) + event_interval.min(MAX_IO_EVENTS),
        };
        Ok(Runtime::from_executor(Executor::new(context, config), self.name.clone()))
    }
}

#[cfg(feature = "cores")]
impl Builder {
    /// Has blocking threads call `f` before what [`on_thread_start`](Builder::on_thread_start) has them call.
    pub(super) fn before_thread_start(&mut self, f: impl Fn() + Send + Sync + 'static) {
        let next = self.threads.on_start.take();
        self.on_thread_start(move || {
            f();
            next.iter().for_each(Hook::call);
        });
    }
}

/// That of the environment, or else the best there is.
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
