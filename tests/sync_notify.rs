//! `sync::Notify`: what tokio's does, in each step of random stories; and what goes wrong in notifications.
#![allow(clippy::arc_with_non_send_sync, reason = "owned futures take an `Arc`, as tokio's do")]

mod common;

use common::adversary::{Adversary, Deed, FUNCTIONS, set_call};
use common::pool::{Pool, poll_without_budget_and_with, stories};
use common::{CountingWaker, poll_once, rounds, run, spend_budget};
use proptest::prelude::*;
use runtime::sync::Notify;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[derive(Clone, Copy, Debug)]
enum Step {
    Create,
    CreateOwned,
    Poll(usize),
    PollElsewhere(usize),
    Enable(usize),
    Drop(usize),
    NotifyOne,
    NotifyLast,
    NotifyWaiters,
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<usize>;
    prop_oneof![
        8 => Just(Step::Create),
        3 => Just(Step::CreateOwned),
        14 => any().prop_map(Step::Poll),
        2 => any().prop_map(Step::PollElsewhere),
        3 => any().prop_map(Step::Enable),
        10 => any().prop_map(Step::Drop),
        5 => Just(Step::NotifyOne),
        3 => Just(Step::NotifyLast),
        2 => Just(Step::NotifyWaiters),
    ]
}

/// The observation after a step: the result of `enable`, and for each future the number of its wakes, or that it is ready.
type Seen = (Option<bool>, Vec<Option<usize>>);

/// Takes the steps, and tells what is seen after each.
macro_rules! story {
    ($name:ident, $sync:path) => {
        fn $name(steps: &[Step]) -> Vec<Seen> {
            use $sync as sync;
            enum Kind<'a> {
                Borrowed(Pin<Box<sync::futures::Notified<'a>>>),
                Owned(Pin<Box<sync::futures::OwnedNotified>>),
            }
            struct Waiting<'a> {
                future: Kind<'a>,
                is_ready: bool,
                counting: Arc<CountingWaker>,
                waker: Waker,
            }
            let notify = Arc::new(sync::Notify::new());
            let mut all: Vec<Waiting> = Vec::new();
            let mut seen = Vec::new();
            for step in steps {
                let count = all.len().max(1);
                let mut enabled = None;
                let (counting, waker) = CountingWaker::new();
                match *step {
                    Step::Create => all.push(Waiting {
                        future: Kind::Borrowed(Box::pin(notify.notified())),
                        is_ready: false,
                        counting,
                        waker,
                    }),
                    Step::CreateOwned => all.push(Waiting {
                        future: Kind::Owned(Box::pin(notify.clone().notified_owned())),
                        is_ready: false,
                        counting,
                        waker,
                    }),
                    Step::Poll(which) | Step::PollElsewhere(which) => {
                        if let Some(waiting) = all.get_mut(which % count) {
                            if matches!(step, Step::PollElsewhere(_)) {
                                (waiting.counting, waiting.waker) = (counting, waker);
                            }
                            let mut cx = Context::from_waker(&waiting.waker);
                            waiting.is_ready = match &mut waiting.future {
                                Kind::Borrowed(future) => future.as_mut().poll(&mut cx).is_ready(),
                                Kind::Owned(future) => future.as_mut().poll(&mut cx).is_ready(),
                            };
                        }
                    }
                    Step::Enable(which) => {
                        enabled = all.get_mut(which % count).map(|waiting| match &mut waiting.future {
                            Kind::Borrowed(future) => future.as_mut().enable(),
                            Kind::Owned(future) => future.as_mut().enable(),
                        });
                    }
                    Step::Drop(which) => {
                        if which % count < all.len() {
                            drop(all.swap_remove(which % count));
                        }
                    }
                    Step::NotifyOne => notify.notify_one(),
                    Step::NotifyLast => notify.notify_last(),
                    Step::NotifyWaiters => notify.notify_waiters(),
                }
                let of = |waiting: &Waiting| (!waiting.is_ready).then(|| waiting.counting.wakes());
                seen.push((enabled, all.iter().map(of).collect()));
            }
            seen
        }
    };
}

story!(ours, runtime::sync);
story!(tokios, tokio::sync);

proptest! {
    #![proptest_config(stories(rounds(40_000, 4_000, 3)))]

    #[test]
    fn it_does_what_tokios_does(steps in prop::collection::vec(step(), 0..100)) {
        prop_assert_eq!(ours(&steps), tokios(&steps));
    }
}

#[test]
fn a_notification_of_a_dropped_future_passes_on() {
    let notify = Notify::new();
    let mut pool = Pool::default();
    for _ in 0..3 {
        pool.start(notify.notified());
    }
    notify.notify_one();
    drop(pool.take(0));
    // The last has been moved to the front of the pool.
    assert_eq!((pool.wakes(1), pool.wakes(0)), (Some(1), Some(0)));
    drop(pool.take(1));
    assert_eq!(pool.wakes(0), Some(1));
    drop(pool.take(0));
    pool.start(notify.notified());
    assert_eq!(pool.wakes(0), None, "it was stored when nobody waited any more");
}

#[test]
fn a_broadcast_to_a_dropped_future_does_not_pass_on() {
    let notify = Notify::new();
    let mut pool = Pool::default();
    pool.start(notify.notified());
    notify.notify_waiters();
    drop(pool.take(0));
    pool.start(notify.notified());
    assert_eq!(pool.wakes(0), Some(0));
}

#[test]
fn a_future_polled_without_budget_is_notified_before_a_later_one() {
    run(async {
        let notify = Notify::new();
        let (mut first, mut second) = (notify.notified(), notify.notified());
        poll_without_budget_and_with(&mut first, &mut second).await;
        notify.notify_one();
        assert!(poll_once(second).await.is_none() && poll_once(first).await.is_some());
    });
}

#[test]
fn a_notification_taken_without_budget_is_not_lost() {
    run(async {
        let notify = Notify::new();
        notify.notify_one();
        let mut notified = pin!(notify.notified());
        poll_fn(|cx| {
            spend_budget();
            assert!(notified.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        notified.await;
    });
}

#[test]
fn a_task_that_is_always_notified_lets_others_run() {
    run(async {
        let notify = Notify::new();
        let other = runtime::spawn(async {});
        while !other.is_finished() {
            notify.notify_one();
            notify.notified().await;
        }
    });
}

#[test]
fn a_waiter_without_a_waker_does_not_keep_others_from_being_woken() {
    let notify = Notify::new();
    let mut enabled = pin!(notify.notified());
    assert!(!enabled.as_mut().enable());
    let mut pool = Pool::default();
    pool.start(notify.notified());
    notify.notify_waiters();
    assert_eq!(pool.wakes(0), Some(1));
    assert!(enabled.as_mut().enable());
}

#[test]
fn wakers_that_use_it_find_it_consistent() {
    run(async {
        for on in FUNCTIONS {
            for which in 0..4 {
                let notify = Rc::new(Notify::new());
                let adversary = Adversary::new(on, Deed::Call);
                let other = notify.clone();
                set_call(move || match which {
                    0 => other.notify_one(),
                    1 => other.notify_last(),
                    2 => other.notify_waiters(),
                    _ => _ = pin!(other.notified()).poll(&mut Context::from_waker(Waker::noop())).is_ready(),
                });
                {
                    let (mut first, mut second) = (pin!(notify.notified()), pin!(notify.notified()));
                    for _ in 0..2 {
                        let waker = adversary.waker();
                        let mut cx = Context::from_waker(&waker);
                        _ = first.as_mut().poll(&mut cx).is_ready()
                            | second.as_mut().poll(&mut cx).is_ready();
                    }
                    notify.notify_waiters();
                    assert!(first.as_mut().enable() && second.as_mut().enable(), "{on:?} {which}");
                }
                assert_eq!((adversary.failed(), adversary.live()), (0, 0), "{on:?} {which}");
                let mut pool = Pool::default();
                pool.start(notify.notified());
                notify.notify_one();
                assert!(pool.wakes(0).is_none_or(|wakes| wakes == 1), "{on:?} {which}");
            }
        }
        set_call(|| {});
    });
}

#[test]
fn a_waker_that_panics_does_not_keep_others_from_being_notified() {
    for on in FUNCTIONS {
        let notify = Notify::new();
        let adversary = Adversary::new(on, Deed::PanicAlways);
        let mut pool = Pool::default();
        let mut hostile = Box::pin(notify.notified());
        let waker = adversary.waker();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            _ = hostile.as_mut().poll(&mut Context::from_waker(&waker));
        }));
        assert_eq!(polled.is_err(), on == common::adversary::On::Clone);
        pool.start(notify.notified());
        notify.notify_waiters();
        assert_eq!(pool.wakes(0), Some(1), "{on:?}");
        drop(hostile);
        _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
        pool.start(notify.notified());
        notify.notify_one();
        assert_eq!(pool.wakes(1), Some(1), "{on:?}");
    }
}

#[test]
fn one_kept_by_a_thread_ends_with_it() {
    thread_local! {
        static KEPT: Notify = const { Notify::const_new() };
        static OWNED: std::cell::RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>> =
            const { std::cell::RefCell::new(None) };
    }
    let ended = std::thread::spawn(|| {
        KEPT.with(Notify::notify_one);
        let mut waiting = Box::pin(Arc::new(Notify::new()).notified_owned());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        OWNED.with_borrow_mut(|owned| *owned = Some(waiting));
    });
    assert!(ended.join().is_ok());
}

#[test]
fn a_panic_may_pass_through_it() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<Notify>();
}
