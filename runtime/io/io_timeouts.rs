//! Timeouts of operations on a descriptor. Each direction has a timeout, which costs one memory write per wait.
//!
//! Consider a server with ten thousand connections. Each has a timeout of half a minute and receives a message now and
//! then. A timer for each wait would be set and removed with every message, and would need a reading of the clock. So
//! instead each direction has one *alarm*: a timer that stays in the wheel while messages arrive. A wait that begins
//! only notes the number of the present turn of the loop:
//!
//! ```text
//!  wait begins ──► turn 17 ── event ──► turn 52 ── event ──► turn 90 ...
//!                                                              │ no more events
//!  alarm armed ───────────────────────────────────► fires      │
//!                                    since turn 90: not due ───┴──► fires again: due
//! ```
//!
//! When the alarm fires, it reads that number. The [driver](crate::time::Driver) returns a time for the turn, which is
//! never too early and only a little too late. If the timeout has not passed since that time, the alarm is armed again
//! for the rest of the timeout. So a timeout never fires early, and it fires late by at most a 32nd of its duration.
//! The alarm fires once per timeout and not once per message, and wakes no task before the timeout is due.
//!
//! A wait ends with an [event](crate::runtime::io::readiness), not with the operation, because `poll_read` cannot know
//! whether its latest caller has been dropped. A new caller in the same waiter continues the wait, as in a loop around
//! `select`. When the alarm fires, it wakes the waiting task. A task that still waits is polled before the loop sleeps,
//! and before all tasks that are queued later. If it polls the operation then, that poll is the *answer*. If there is
//! no answer in time, no task was waiting, and the next wait begins anew. (A future whose task was woken but did not
//! poll it looks the same as a dropped future, so its wait begins anew too. A late timeout is better than a timeout for
//! a caller that has not waited.)
//!
//! `async` functions have waiters of their own and know when they are dropped. Each call has a timer of its own.

use crate::runtime::context::{self, Context};
use crate::runtime::executor::tasks::QueuePosition;
use crate::runtime::id::{SlotId, SourceId};
use crate::runtime::io::reactor::Direction;
use crate::runtime::mutex::Mutex;
use crate::runtime::waker;
use crate::time::{Instant, Sleep, TimerId, sleep};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{self, Poll, Wake, Waker};
use std::time::Duration;

/// The timeouts of a descriptor. Everything in it changes only on the thread where the descriptor is used. It
/// is atomic so that owners can move to other threads.
pub(crate) struct IoTimeouts {
    read: Arc<Side>,
    write: Arc<Side>,
}

/// The timeout of one direction. It is also the waker of the alarm.
struct Side {
    direction: Direction,
    /// The timeout in nanoseconds. Zero means no timeout.
    timeout_ns: AtomicU64,
    /// The number of times that the timeout has been set.
    settings: AtomicU32,
    /// The beginning of the latest wait: the number of a turn or, if the bit [`EXACT`] is set, a reading of the clock
    /// in nanoseconds.
    since: AtomicU64,
    /// The bits of the source for which the alarm is armed, or zero if it is not armed. The source belongs to
    /// the descriptor's present registration.
    armed: AtomicU64,
    alarm: Mutex<Alarm>,
}

/// The timer of the alarm.
#[derive(Default)]
struct Alarm {
    timer: Option<(TimerId, Instant)>,
    fires_ns: u64,
    /// After the alarm has fired: the position in the run queue up to which a poll counts as an answer.
    answer_until: Option<QueuePosition>,
}

/// The bit that marks an instant read from the clock.
const EXACT: u64 = 1 << 63;

impl IoTimeouts {
    pub(crate) fn new() -> IoTimeouts {
        IoTimeouts { read: Side::new(Direction::Read), write: Side::new(Direction::Write) }
    }

    #[inline]
    fn side(&self, direction: Direction) -> &Arc<Side> {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Sets a timeout. The caller then has to [wake](wake_all) the waiting tasks, so that it applies to them too.
    pub(crate) fn set(&self, direction: Direction, timeout: Option<Duration>) {
        let nanoseconds = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let side = self.side(direction);
        side.timeout_ns.store(timeout.map_or(0, nanoseconds), Relaxed);
        side.settings.fetch_add(1, Relaxed);
        side.disarm();
    }

    pub(crate) fn get(&self, direction: Direction) -> Option<Duration> {
        match self.side(direction).timeout_ns.load(Relaxed) {
            0 => None,
            timeout_ns => Some(Duration::from_nanos(timeout_ns)),
        }
    }

    /// Returns true if a direction's alarm is armed for `source`. When a wait begins, it then only has to be
    /// [noted](Self::note).
    #[inline]
    pub(crate) fn is_armed(&self, direction: Direction, source: SourceId) -> bool {
        self.side(direction).armed.load(Relaxed) == source.id.bits()
    }

    /// Disarms both alarms, because the descriptor has a new registration.
    pub(crate) fn disarm(&self) {
        self.read.disarm();
        self.write.disarm();
    }

    /// Disarms one alarm, because that direction of the descriptor has a new registration.
    pub(crate) fn disarm_side(&self, direction: Direction) {
        self.side(direction).disarm();
    }

    /// Notes that a wait begins now.
    #[inline]
    pub(crate) fn note(&self, direction: Direction) {
        self.side(direction).since.store(context::with(|context| context.time.turn()), Relaxed);
    }

    /// Arms the alarm for a caller that waits in the shared waiter of a direction of `source`. Call this if there is a
    /// timeout and no alarm is armed. `is_new` is true if there has been an event since the last call. Returns `Ready`
    /// if the timeout has passed.
    pub(crate) fn poll_unarmed(
        &self,
        direction: Direction,
        source: SourceId,
        is_new: bool,
    ) -> Poll<io::Error> {
        let side = self.side(direction);
        let answer_until = side.alarm.lock().and_then(|mut alarm| alarm.answer_until.take());
        context::with(|context| {
            let is_answer =
                !is_new && answer_until.is_some_and(|until| !context.tasks.borrow().has_reached(until));
            if is_answer || !side.begin(context, source.id) {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            Poll::Pending
        })
    }
}

impl Drop for IoTimeouts {
    fn drop(&mut self) {
        self.disarm();
    }
}

impl Side {
    fn new(direction: Direction) -> Arc<Side> {
        Arc::new(Side {
            direction,
            timeout_ns: AtomicU64::new(0),
            settings: AtomicU32::new(0),
            since: AtomicU64::new(0),
            armed: AtomicU64::new(0),
            alarm: Mutex::default(),
        })
    }

    /// Begins a wait and arms the alarm. Returns false if the timeout has passed already.
    #[cold]
    fn begin(self: &Arc<Self>, context: &Context, source: SlotId) -> bool {
        self.disarm();
        context.time.keep_log();
        let now_ns = context.time.now_ns();
        self.since.store(now_ns | EXACT, Relaxed);
        self.armed.store(source.bits(), Relaxed);
        self.arm(context, now_ns.saturating_add(self.timeout_ns.load(Relaxed)))
    }

    /// Arms the alarm. Returns false if that instant has passed already.
    fn arm(self: &Arc<Self>, context: &Context, fires_ns: u64) -> bool {
        let timer = context.time.arm_at(fires_ns, Waker::from(self.clone()));
        if let Some(mut alarm) = self.alarm.lock() {
            alarm.fires_ns = fires_ns;
            alarm.timer = timer;
        }
        timer.is_some()
    }

    fn disarm(&self) {
        self.armed.store(0, Relaxed);
        let timer = self.alarm.lock().and_then(|mut alarm| {
            alarm.answer_until = None;
            alarm.timer.take()
        });
        if let Some((mut timer, deadline)) = timer {
            timer.disarm(deadline);
        }
    }

    /// Handles the alarm when it fires, in the runtime where it was armed.
    fn fire(self: &Arc<Self>, context: &Context) {
        let source = SlotId::from_bits(self.armed.load(Relaxed));
        let Some(fires_ns) = self.alarm.lock().map(|alarm| alarm.fires_ns) else { return };
        // Careful: this may be an earlier timer, which was left behind when the descriptor moved.
        if source.runtime() != context.id.number() || context.time.turn_ns() < fires_ns {
            return;
        }
        let since_ns = match self.since.load(Relaxed) {
            since if since & EXACT != 0 => since & !EXACT,
            turn => context.time.after_turn_ns(turn),
        };
        let due_ns = since_ns.saturating_add(self.timeout_ns.load(Relaxed));
        if context.time.turn_ns() < due_ns && self.arm(context, due_ns) {
            return;
        }
        self.armed.store(0, Relaxed);
        wake_all(SourceId { id: source, runtime: context.id }, self.direction);
        if let Some(mut alarm) = self.alarm.lock() {
            alarm.answer_until = Some(context.tasks.borrow().position());
        }
    }
}

impl Wake for Side {
    fn wake(self: Arc<Self>) {
        // This wakes the waiting tasks, which may run user code.
        if let Some(context) = context::entered() {
            self.fire(&context);
        }
    }
}

/// Wakes the tasks that wait for a direction, whatever thread they are on. Wakers may run user code, so they are woken
/// under no borrow.
pub(crate) fn wake_all(source: SourceId, direction: Direction) {
    if source.is_none() {
        return;
    }
    context::call_on(source.runtime, move |context| {
        let mut wakers = Vec::new();
        context.reactor.borrow_mut().wake_all(source.id, direction, &mut wakers);
        wakers.into_iter().for_each(waker::wake);
    });
}

/// The deadline of a call that has a waiter of its own.
#[derive(Default)]
pub(crate) struct CallTimeout {
    sleep: Option<Sleep>,
    /// The value of [`Side::settings`] to which the deadline belongs.
    setting: u32,
}

impl CallTimeout {
    /// Polls the deadline, because the call has to wait. Returns `Ready` if the deadline has passed.
    pub(crate) fn poll(
        &mut self,
        timeouts: &IoTimeouts,
        direction: Direction,
        cx: &mut task::Context<'_>,
    ) -> Poll<io::Error> {
        let side = timeouts.side(direction);
        let setting = side.settings.load(Relaxed);
        if self.setting != setting {
            self.setting = setting;
            self.sleep = timeouts.get(direction).map(sleep);
        }
        match &mut self.sleep {
            Some(sleep) => sleep.poll_unbudgeted(cx).map(|()| io::ErrorKind::TimedOut.into()),
            None => Poll::Pending,
        }
    }
}
