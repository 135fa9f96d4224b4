//! Hostile user code: hand-made wakers, each function of which calls back into the runtime or panics in a certain
//! call, and counts its calls.
#![expect(unsafe_code, reason = "the vtable of a hand-made waker")]

use super::{Count, CountOnDrop, OnDrop, panic_quietly};
use runtime::net::AsyncFd;
use runtime::task::AbortHandle;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::mem::ManuallyDrop;
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::time::Duration;

/// The actions of hostile code when it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    Nothing,
    Spawn,
    WakeAnother,
    Abort,
    /// Aborts the task that the test is about, if there is one.
    AbortVictim,
    DropJoinHandle,
    Timer,
    Socket,
    HandleSpawn,
    Look,
    /// Drops the runtime that was set.
    DropRuntime,
    /// Calls the closure that was set for it.
    Call,
    /// Panics in the call with that number, counted from 0.
    Panic(usize),
    /// Panics in every call.
    PanicAlways,
}

/// All deeds that need no preparation and do not panic.
pub(crate) const DEEDS: [Deed; 10] = [
    Deed::Nothing,
    Deed::Spawn,
    Deed::WakeAnother,
    Deed::Abort,
    Deed::AbortVictim,
    Deed::DropJoinHandle,
    Deed::Timer,
    Deed::Socket,
    Deed::HandleSpawn,
    Deed::Look,
];

thread_local! {
    static BUSY: Cell<bool> = const { Cell::new(false) };
    static BYSTANDER: RefCell<Option<Waker>> = const { RefCell::new(None) };
    static VICTIM: RefCell<Option<AbortHandle>> = const { RefCell::new(None) };
    static RUNTIME: RefCell<Option<runtime::Runtime>> = const { RefCell::new(None) };
    static CALL: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Spawns a task that waits for others to wake it, and counts its polls and its drop.
pub(crate) fn spawn_bystander(polls: &Count, drops: &Count) {
    let (polls, dropped) = (polls.clone(), CountOnDrop(drops.clone()));
    drop(runtime::spawn(poll_fn(move |cx| {
        let _dropped = &dropped;
        polls.add();
        BYSTANDER.replace(Some(cx.waker().clone()));
        Poll::<()>::Pending
    })));
}

/// Sets what [`Deed::Call`] calls.
pub(crate) fn set_call(call: impl Fn() + 'static) {
    CALL.set(Some(Rc::new(call)));
}

/// Sets the task that [`Deed::AbortVictim`] aborts.
pub(crate) fn set_victim(victim: AbortHandle) {
    VICTIM.set(Some(victim));
}

/// Sets the runtime that [`Deed::DropRuntime`] drops.
pub(crate) fn set_runtime(runtime: runtime::Runtime) {
    RUNTIME.set(Some(runtime));
}

impl Deed {
    /// Performs the deed in the call with number `call`. Returns false if there was no runtime to perform it on, or
    /// if it is already being performed.
    pub(crate) fn perform(self, call: usize) -> bool {
        if let Deed::Panic(at) = self {
            if call == at {
                panic_quietly("a hostile panic");
            }
            return true;
        }
        if self == Deed::PanicAlways {
            panic_quietly("a hostile panic");
        }
        if runtime::Handle::try_current().is_err() || BUSY.replace(true) {
            return false;
        }
        let _done = OnDrop::new(|| BUSY.set(false));
        self.perform_now();
        true
    }

    fn perform_now(self) {
        match self {
            Deed::Nothing | Deed::Panic(_) | Deed::PanicAlways => {}
            Deed::Spawn => drop(runtime::spawn(async {})),
            Deed::WakeAnother => {
                let waker = BYSTANDER.with_borrow(Clone::clone);
                waker.inspect(Waker::wake_by_ref).into_iter().for_each(Waker::wake);
            }
            Deed::AbortVictim => {
                let victim = VICTIM.with_borrow(Clone::clone);
                victim.iter().for_each(AbortHandle::abort);
            }
            Deed::Abort => {
                let other = runtime::spawn(std::future::pending::<()>());
                let abort = other.abort_handle();
                drop(other);
                abort.abort();
                abort.abort();
            }
            Deed::DropJoinHandle => {
                let mut other = runtime::spawn(std::future::pending::<()>());
                drop(Pin::new(&mut other).poll(&mut Context::from_waker(Waker::noop())));
                drop(other);
            }
            Deed::Timer => {
                let mut sleep = pin!(runtime::time::sleep(Duration::from_secs(3600)));
                assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                let soon = runtime::time::sleep(Duration::ZERO);
                drop(runtime::spawn(soon));
            }
            Deed::Socket => {
                let (one, _other) = UnixStream::pair().unwrap();
                let one = AsyncFd::new(one).unwrap();
                let mut cx = Context::from_waker(Waker::noop());
                assert!(one.poll_read_ready(&mut cx).is_pending());
                let mut readable = Box::pin(one.readable());
                assert!(readable.as_mut().poll(&mut cx).is_pending());
            }
            Deed::DropRuntime => drop(RUNTIME.take()),
            Deed::Call => {
                let call = CALL.with_borrow(Clone::clone);
                call.iter().for_each(|call| call());
            }
            Deed::HandleSpawn => drop(runtime::Handle::current().spawn(async {})),
            Deed::Look => {
                let seen =
                    (runtime::Handle::current(), runtime::task::try_id(), runtime::time::Instant::now());
                drop(format!("{seen:?}"));
            }
        }
    }
}

/// The function of the waker that is hostile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum On {
    Clone,
    Wake,
    WakeByRef,
    Drop,
}

pub(crate) const FUNCTIONS: [On; 4] = [On::Clone, On::Wake, On::WakeByRef, On::Drop];

/// The state behind a hostile waker.
pub(crate) struct Adversary {
    on: On,
    deed: Deed,
    calls: AtomicUsize,
    performed: AtomicUsize,
    failed: AtomicUsize,
    made: AtomicUsize,
    gone: AtomicUsize,
    wakes: AtomicUsize,
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

impl Adversary {
    pub(crate) fn new(on: On, deed: Deed) -> Arc<Adversary> {
        let zero = || AtomicUsize::new(0);
        Arc::new(Adversary {
            on,
            deed,
            calls: zero(),
            performed: zero(),
            failed: zero(),
            made: zero(),
            gone: zero(),
            wakes: zero(),
        })
    }

    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        self.made.fetch_add(1, SeqCst);
        // SAFETY: the functions of the table own one count of the `Arc` for each waker, and what is
        // behind it is `Send` and `Sync`.
        unsafe { Waker::from_raw(RawWaker::new(Arc::into_raw(self.clone()).cast(), &VTABLE)) }
    }

    /// Returns how often one of its wakers was woken.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.load(SeqCst)
    }

    /// Returns how often the hostile function was called.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(SeqCst)
    }

    /// Returns how often the deed was performed.
    pub(crate) fn performed(&self) -> usize {
        self.performed.load(SeqCst)
    }

    /// Returns the number of wakers that exist: those that were made or cloned, less those that were dropped or woken
    /// by value.
    pub(crate) fn live(&self) -> usize {
        self.made.load(SeqCst) - self.gone.load(SeqCst)
    }

    /// Returns how often the deed failed because the runtime panicked, also where that panic is contained.
    pub(crate) fn failed(&self) -> usize {
        self.failed.load(SeqCst)
    }

    fn called(&self, on: On) {
        if on == self.on {
            let call = self.calls.fetch_add(1, SeqCst);
            // A failure is counted while the panic unwinds, and not before and then taken back: another thread may
            // read the counter meanwhile.
            let is_meant = matches!(self.deed, Deed::Panic(_) | Deed::PanicAlways);
            let failure = (!is_meant).then(|| Failure(&self.failed));
            let performed = self.deed.perform(call);
            std::mem::forget(failure);
            self.performed.fetch_add(usize::from(performed), SeqCst);
        }
    }
}

/// A value that counts a failure when it is dropped.
struct Failure<'a>(&'a AtomicUsize);

impl Drop for Failure<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Borrows the state behind a waker.
fn borrow(data: *const ()) -> ManuallyDrop<Arc<Adversary>> {
    // SAFETY: the word is an `Arc` turned raw, and its count is the waker's, which lives.
    ManuallyDrop::new(unsafe { Arc::from_raw(data.cast()) })
}

/// Takes the state behind a waker.
fn take(data: *const ()) -> Arc<Adversary> {
    let adversary = ManuallyDrop::into_inner(borrow(data));
    adversary.gone.fetch_add(1, SeqCst);
    adversary
}

fn clone(data: *const ()) -> RawWaker {
    let adversary = borrow(data);
    adversary.called(On::Clone);
    adversary.made.fetch_add(1, SeqCst);
    RawWaker::new(Arc::into_raw(Arc::clone(&adversary)).cast(), &VTABLE)
}

fn wake(data: *const ()) {
    let adversary = take(data);
    adversary.wakes.fetch_add(1, SeqCst);
    adversary.called(On::Wake);
}

fn wake_by_ref(data: *const ()) {
    let adversary = borrow(data);
    adversary.wakes.fetch_add(1, SeqCst);
    adversary.called(On::WakeByRef);
}

fn drop_waker(data: *const ()) {
    take(data).called(On::Drop);
}
