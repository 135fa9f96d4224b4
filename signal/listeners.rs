//! The descriptors through which the signal handler wakes the tasks that wait for signals.
//!
//! A listener has a *slot*: an eventfd (or a pipe), and the kinds that it listens for. All slots are in a list that
//! only grows, so the handler can walk it at any moment without a lock. A listener that is dropped
//! leaves its slot to the next one. The descriptor of a slot is never closed, since a handler on another thread may be about to
//! write to it. So a late write causes a spurious wake at worst, and never goes to a descriptor that belongs to other code.
//!
//! A slot belongs to the process that created it. In a forked child its descriptor is still that of the parent, so
//! the child never reads it nor writes to it.
//!
//! This file does not know which signals have arrived: a listener that is woken looks at the counts of `handler.rs`.
#![expect(unsafe_code, reason = "the list of slots, which a signal handler walks without a lock")]

use crate::runtime::context;
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::{Owner, Registered};
use crate::runtime::selector::{NotifierFd, Process};
use crate::task::coop;
use crate::task::origin::Origin;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64};
use std::task::{Context, Poll, ready};

/// A set of kinds of signals: one bit for each number from 1 to 64.
pub(super) type Kinds = u64;

struct Slot {
    /// The kinds of signals that the owner listens for. Empty if the slot is free.
    kinds: AtomicU64,
    /// True from the first signal until the listener has seen it. Further signals need not be written.
    is_notified: AtomicBool,
    notifier_fd: NotifierFd,
    process: Process,
    next: AtomicPtr<Slot>,
}

static FIRST: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());

/// Returns the slot that a link of the list leads to.
fn follow(link: &AtomicPtr<Slot>) -> Option<&'static Slot> {
    // SAFETY: only `claim` stores to a link, and what it stores points to a slot that is never freed nor borrowed
    // exclusively, or is null.
    unsafe { link.load(SeqCst).as_ref() }
}

fn slots() -> impl Iterator<Item = &'static Slot> {
    std::iter::successors(follow(&FIRST), |slot| follow(&slot.next))
}

/// Wakes all listeners for a kind. This function runs in the signal handler.
pub(super) fn notify(kind: Kinds) {
    for slot in slots() {
        let is_awaited = slot.kinds.load(SeqCst) & kind != 0;
        // An inherited descriptor would wake the parent.
        if is_awaited && slot.process.is_current() && !slot.is_notified.swap(true, SeqCst) {
            slot.notifier_fd.notify();
        }
    }
}

/// The right to a slot, until it is dropped.
struct Claim(&'static Slot);

/// Takes a free slot, or adds one to the list.
fn claim(kinds: Kinds) -> io::Result<Claim> {
    let process = Process::counted()?;
    let mut ours = slots().filter(|slot| slot.process == process);
    if let Some(free) = ours.find(|slot| slot.kinds.compare_exchange(0, kinds, SeqCst, SeqCst).is_ok()) {
        return Ok(Claim(free));
    }
    let slot: &'static Slot = Box::leak(Box::new(Slot {
        kinds: AtomicU64::new(kinds),
        is_notified: AtomicBool::new(false),
        notifier_fd: NotifierFd::new()?,
        process,
        next: AtomicPtr::new(ptr::null_mut()),
    }));
    let mut first = FIRST.load(SeqCst);
    loop {
        slot.next.store(first, SeqCst);
        match FIRST.compare_exchange(first, ptr::from_ref(slot).cast_mut(), SeqCst, SeqCst) {
            Ok(_) => return Ok(Claim(slot)),
            Err(other) => first = other,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.kinds.store(0, SeqCst);
    }
}

impl AsFd for Claim {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.notifier_fd.as_fd()
    }
}

/// A slot, and the runtime that watches its descriptor.
pub(super) struct Listener {
    kinds: Kinds,
    io: Registered<Claim>,
    owner: Owner,
    origin: Origin,
}

impl Listener {
    /// Begins to listen. If a runtime is entered on this thread, the descriptor is registered there, so that an error
    /// is returned here and not by the first wait.
    pub(super) fn new(kinds: Kinds, owner: Owner, origin: Origin) -> io::Result<Listener> {
        let mut io = Registered::new(claim(kinds)?, owner);
        io.set_origin(origin);
        if context::is_entered() {
            io.register_now()?;
        }
        Ok(Listener { kinds, io, owner, origin })
    }

    /// Waits until `arrived` returns a value. It is called again after each signal.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut arrived: impl FnMut() -> Option<T>,
    ) -> Poll<io::Result<T>> {
        ready!(coop::poll_budget(cx));
        loop {
            // Careful: this comes before the wait. A signal that arrives in between ends the wait.
            if let Some(value) = arrived() {
                coop::spend();
                return Poll::Ready(Ok(value));
            }
            if !self.io.get().0.process.is_current() {
                *self = Listener::new(self.kinds, self.owner, self.origin)?;
                // The handler did not notify the new slot until now.
                continue;
            }
            ready!(self.io.poll_io(cx, Direction::Read, take_notification))?;
        }
    }
}

/// Empties the descriptor. Fails with `WouldBlock` if there was no notification.
fn take_notification(claim: &Claim) -> io::Result<()> {
    // Careful: in this order. A handler that finds the flag set does not write, and relies on what follows: the caller
    // looks at the counts after the flag was cleared.
    claim.0.notifier_fd.empty();
    if claim.0.is_notified.swap(false, SeqCst) { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
}
