//! Wakers that call a closure of the test at each call of theirs, and count.
#![expect(unsafe_code, reason = "the vtable of a hand-made waker")]

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

/// A function of the waker that was called. `Drop` is also what follows a wake by value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    Clone,
    Wake,
    Drop,
}

type Hook = Rc<dyn Fn(Call)>;

/// The state behind the wakers, on one thread.
pub(crate) struct Hooked {
    hook: RefCell<Option<Hook>>,
    wakes: Cell<usize>,
    clones: Cell<usize>,
    live: Cell<usize>,
}

thread_local! {
    static ALL: RefCell<Vec<Rc<Hooked>>> = const { RefCell::new(Vec::new()) };
}

impl Hooked {
    /// Makes a waker that counts, and what stands behind it.
    pub(crate) fn new() -> (Rc<Hooked>, Waker) {
        let hooked = Rc::new(Hooked {
            hook: RefCell::new(None),
            wakes: Cell::new(0),
            clones: Cell::new(0),
            live: Cell::new(1),
        });
        let id = ALL.with_borrow_mut(|all| {
            all.push(hooked.clone());
            all.len() - 1
        });
        // SAFETY: the functions of the vtable are sound for every data word on every thread: it is an index that is checked.
        let waker = unsafe { Waker::from_raw(RawWaker::new(ptr::without_provenance(id), &VTABLE)) };
        (hooked, waker)
    }

    /// Sets the closure that is called from now on: before a clone is made, and after a wake or a drop was counted.
    pub(crate) fn on_call(&self, hook: impl Fn(Call) + 'static) {
        self.hook.replace(Some(Rc::new(hook)));
    }

    /// Sets a closure that is called once, at the first call of this kind.
    pub(crate) fn once(&self, call: Call, act: impl FnOnce() + 'static) {
        let act = Cell::new(Some(act));
        self.on_call(move |called| {
            if called == call
                && let Some(act) = act.take()
            {
                act();
            }
        });
    }

    pub(crate) fn wakes(&self) -> usize {
        self.wakes.get()
    }

    pub(crate) fn clones(&self) -> usize {
        self.clones.get()
    }

    /// The number of wakers, with the first one.
    pub(crate) fn live(&self) -> usize {
        self.live.get()
    }

    fn called(&self, call: Call) {
        let hook = self.hook.borrow().clone();
        if let Some(hook) = hook {
            hook(call);
        }
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        with(data, |hooked| {
            hooked.called(Call::Clone);
            hooked.clones.set(hooked.clones.get() + 1);
            hooked.live.set(hooked.live.get() + 1);
        });
        RawWaker::new(data, &VTABLE)
    },
    |data| {
        with(data, |hooked| {
            hooked.live.set(hooked.live.get() - 1);
            hooked.wakes.set(hooked.wakes.get() + 1);
            hooked.called(Call::Wake);
        });
    },
    |data| {
        with(data, |hooked| {
            hooked.wakes.set(hooked.wakes.get() + 1);
            hooked.called(Call::Wake);
        });
    },
    |data| {
        with(data, |hooked| {
            hooked.live.set(hooked.live.get() - 1);
            hooked.called(Call::Drop);
        });
    },
);

fn with(data: *const (), f: impl FnOnce(&Hooked)) {
    // A thread that ends may be past its list.
    let hooked = ALL.try_with(|all| all.borrow().get(data.addr()).cloned());
    if let Ok(Some(hooked)) = hooked {
        f(&hooked);
    }
}

/// Polls a future once with a waker.
pub(crate) fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> std::task::Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
}
