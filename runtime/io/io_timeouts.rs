//! How long an operation on a descriptor may wait: a timeout for each side, that costs a store.
//!
//! A server has ten thousand connections, each with a timeout of half a minute, and a message on each
//! now and then. A timer for every wait would be set and taken back with every message, and needs to
//! know the time. So here each side has one *alarm*, which stays where it is while messages come and
//! go. A wait that begins only notes the number of the turn of the loop:
//!
//! ```text
//!  wait begins ──► turn 17 ── event ──► turn 52 ── event ──► turn 90 ...
//!                                                              │ nothing more comes
//!  alarm armed ───────────────────────────────────► rings      │
//!                                    since turn 90: not due ───┴──► rings again: due
//! ```
//!
//! When the alarm rings it looks at the number. The [driver](crate::time::Driver) knows when that
//! turn was, never too early and little too late; if that is not long ago, the alarm is armed anew for
//! what is left. So a deadline is never early, and late by at most a 32nd of the timeout. It rings once
//! per timeout and not once per message, and wakes nobody before it is due.
//!
//! A wait ends with an [event](crate::runtime::io::readiness), not with the operation: `poll_read` cannot know that
//! the one who called it last has been dropped. One that takes its place goes on with its wait, as in a
//! loop around `select`. But if nobody answers when the alarm rings, nobody was there, and the next one
//! begins anew: whoever lives is polled before the loop rests, and before whatever was queued later. (One
//! that is woken, and not polled by its task, cannot be told from one that is gone, and begins anew as
//! well: late is better than a time-out of who has not waited.)
//!
//! `async` functions have waiters of their own, and know when they are dropped. They have a timer each.

use crate::runtime::context::{self, Context};
use crate::runtime::executor::tasks::QueuePosition;
use crate::runtime::id::{Id, SourceId};
use crate::runtime::io::reactor::Direction;
use crate::runtime::mutex::Mutex;
use crate::runtime::waker;
use crate::time::{Instant, Sleep, TimerId, sleep};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{self, Poll, Wake, Waker};
use std::time::Duration;

/// The timeouts of a descriptor. All that is in here changes on the thread where the descriptor is used;
/// it is atomic so that owners can go elsewhere.
pub(crate) struct IoTimeouts {
    read: Arc<Side>,
    write: Arc<Side>,
}

/// One side; and the waker of its alarm.
struct Side {
    direction: Direction,
    /// In nanoseconds. Zero is none.
    timeout_ns: AtomicU64,
    /// How often that has been set.
    settings: AtomicU32,
    /// When the latest wait began: a turn, or with [`EXACT`] the nanoseconds of the clock.
    since: AtomicU64,
    /// The source for which the alarm is armed, as bits; zero if it is not. It belongs to the descriptor's
    /// present registration.
    armed: AtomicU64,
    alarm: Mutex<Alarm>,
}

/// Where the alarm is in the wheel, if it is.
#[derive(Default)]
struct Alarm {
    timer: Option<(TimerId, Instant)>,
    rings_ns: u64,
    /// If the alarm has rung: until when it can be answered.
    rung: Option<QueuePosition>,
}

/// The bit of an instant that was read from the clock.
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

    /// Sets a timeout. Those who wait are to be [stirred](wake_all), so that it counts for them too.
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

    /// Whether a side's alarm is armed on behalf of `source`. It then only has to be [noted](Self::note)
    /// when a wait begins.
    #[inline]
    pub(crate) fn is_armed(&self, direction: Direction, source: SourceId) -> bool {
        self.side(direction).armed.load(Relaxed) == source.id.bits()
    }

    /// The descriptor has another registration.
    pub(crate) fn disarm(&self) {
        self.read.disarm();
        self.write.disarm();
    }

    /// A direction of the descriptor has another registration.
    pub(crate) fn disarm_side(&self, direction: Direction) {
        self.side(direction).disarm();
    }

    /// A wait begins, here and now.
    #[inline]
    pub(crate) fn note(&self, direction: Direction) {
        self.side(direction).since.store(context::with(|context| context.time.turn()), Relaxed);
    }

    /// One who shares the waiter of a side of `source` has nothing to do but wait, and no alarm is armed,
    /// though there is a timeout. `is_new` if there has been an event since the last time. Ready if the
    /// deadline has passed.
    pub(crate) fn poll_unarmed(
        &self,
        direction: Direction,
        source: SourceId,
        is_new: bool,
    ) -> Poll<io::Error> {
        let side = self.side(direction);
        let rung = side.alarm.lock().and_then(|mut alarm| alarm.rung.take());
        context::with(|context| {
            let is_answer = !is_new && rung.is_some_and(|until| !context.tasks.borrow().has_reached(until));
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

    /// A wait begins while no alarm is armed. False if its time is over already.
    #[cold]
    fn begin(self: &Arc<Self>, context: &Context, source: Id) -> bool {
        self.disarm();
        context.time.keep_log();
        let now_ns = context.time.now_ns();
        self.since.store(now_ns | EXACT, Relaxed);
        self.armed.store(source.bits(), Relaxed);
        self.arm(context, now_ns.saturating_add(self.timeout_ns.load(Relaxed)))
    }

    /// False if there is nothing to wait for.
    fn arm(self: &Arc<Self>, context: &Context, rings_ns: u64) -> bool {
        let timer = context.time.arm_at(rings_ns, Waker::from(self.clone()));
        if let Some(mut alarm) = self.alarm.lock() {
            alarm.rings_ns = rings_ns;
            alarm.timer = timer;
        }
        timer.is_some()
    }

    fn disarm(&self) {
        self.armed.store(0, Relaxed);
        let timer = self.alarm.lock().and_then(|mut alarm| {
            alarm.rung = None;
            alarm.timer.take()
        });
        if let Some((mut timer, deadline)) = timer {
            timer.disarm(deadline);
        }
    }

    /// The alarm rings, in the runtime where it was armed.
    fn ring(self: &Arc<Self>, context: &Context) {
        let source = Id::from_bits(self.armed.load(Relaxed));
        let Some(rings_ns) = self.alarm.lock().map(|alarm| alarm.rings_ns) else { return };
        // Careful: it may be an earlier one, that was left behind when the descriptor moved.
        if source.runtime() != context.id.number() || context.time.turn_ns() < rings_ns {
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
            alarm.rung = Some(context.tasks.borrow().position());
        }
    }
}

impl Wake for Side {
    fn wake(self: Arc<Self>) {
        // It wakes those who wait, which may be user code.
        if let Some(context) = context::entered() {
            self.ring(&context);
        }
    }
}

/// Wakes whoever waits for a side, on whichever thread. Wakers are user code, and run under no borrow.
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

/// The deadline of one who has a waiter of its own.
#[derive(Default)]
pub(crate) struct CallTimeout {
    sleep: Option<Sleep>,
    /// Which setting of the timeout that is of.
    setting: u32,
}

impl CallTimeout {
    /// There is nothing to do but wait. Ready if the deadline has passed.
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
