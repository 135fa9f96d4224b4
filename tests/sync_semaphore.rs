//! `sync::Semaphore`: what tokio's does, in each step of random stories; and what goes wrong in semaphores.
#![allow(clippy::arc_with_non_send_sync, reason = "owned permits take an `Arc`, as tokio's do")]

mod common;

use common::adversary::{Adversary, Deed, FUNCTIONS, On, set_call};
use common::pool::{Pool, poll_without_budget_and_with, stories};
use common::{CountingWaker, poll_once, rounds, run, spend_budget};
use proptest::prelude::*;
use runtime::sync::{Semaphore, TryAcquireError};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire(u32),
    AcquireOwned(u32),
    TryAcquire(u32),
    Poll(usize),
    PollElsewhere(usize),
    Drop(usize),
    Forget(usize),
    Split(usize, usize),
    Merge(usize, usize),
    Add(usize),
    ForgetPermits(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<usize>;
    prop_oneof![
        20 => (0..5u32).prop_map(Step::Acquire),
        5 => (0..5u32).prop_map(Step::AcquireOwned),
        10 => (0..4u32).prop_map(Step::TryAcquire),
        20 => any().prop_map(Step::Poll),
        2 => any().prop_map(Step::PollElsewhere),
        25 => any().prop_map(Step::Drop),
        3 => any().prop_map(Step::Forget),
        3 => (any(), 0..4usize).prop_map(|(which, count)| Step::Split(which, count)),
        3 => (any(), any()).prop_map(|(into, other)| Step::Merge(into, other)),
        8 => (0..6usize).prop_map(Step::Add),
        4 => (0..4usize).prop_map(Step::ForgetPermits),
        1 => Just(Step::Close),
    ]
}

/// The observation after a step: the available permits, `is_closed`, the result of the step, and for each future the number
/// of its wakes, or of its permits.
type Seen = (usize, bool, String, Vec<Result<usize, usize>>, Vec<Result<usize, usize>>);

/// Takes the steps with a semaphore, and tells what is seen after each.
macro_rules! story {
    ($name:ident, $sync:path) => {
        fn $name(permits: usize, steps: &[Step]) -> Vec<Seen> {
            use $sync as sync;
            let semaphore = Arc::new(sync::Semaphore::new(permits));
            let (mut borrowed, mut owned) = (Pool::default(), Pool::default());
            let mut seen = Vec::new();
            for step in steps {
                let mut result = String::new();
                match *step {
                    Step::Acquire(count) => borrowed.start(semaphore.acquire_many(count)),
                    Step::AcquireOwned(count) => owned.start(semaphore.clone().acquire_many_owned(count)),
                    Step::TryAcquire(count) => match semaphore.try_acquire_many(count) {
                        Ok(permit) => borrowed.put(Ok(permit)),
                        Err(error) => result = format!("{error:?} {error}"),
                    },
                    Step::Poll(which) => _ = (borrowed.poll(which), owned.poll(which)),
                    Step::PollElsewhere(which) => _ = borrowed.poll_elsewhere(which),
                    Step::Drop(which) => _ = (borrowed.take(which), owned.take(which / 2)),
                    Step::Forget(which) => {
                        borrowed
                            .take_output(which)
                            .into_iter()
                            .flatten()
                            .for_each(sync::SemaphorePermit::forget);
                    }
                    Step::Split(which, count) => {
                        if let Some(Ok(permit)) = borrowed.output(which) {
                            if let Some(part) = permit.split(count) {
                                borrowed.put(Ok(part));
                            }
                        }
                    }
                    Step::Merge(into, other) => {
                        if let Some(Ok(other)) = borrowed.take_output(other) {
                            match borrowed.output(into) {
                                Some(Ok(permit)) => permit.merge(other),
                                _ => drop(other),
                            }
                        }
                    }
                    Step::Add(count) => semaphore.add_permits(count),
                    Step::ForgetPermits(count) => result = semaphore.forget_permits(count).to_string(),
                    Step::Close => semaphore.close(),
                }
                seen.push((
                    semaphore.available_permits(),
                    semaphore.is_closed(),
                    result,
                    borrowed.seen(|permit| permit.as_ref().map_or(usize::MAX, |permit| permit.num_permits())),
                    owned.seen(|permit| permit.as_ref().map_or(usize::MAX, |permit| permit.num_permits())),
                ));
            }
            seen
        }
    };
}

story!(ours, runtime::sync);
story!(tokios, tokio::sync);

proptest! {
    #![proptest_config(stories(rounds(40_000, 3_000, 3)))]

    #[test]
    fn it_does_what_tokios_does(permits in 0..6usize, steps in prop::collection::vec(step(), 0..100)) {
        prop_assert_eq!(ours(permits, &steps), tokios(permits, &steps));
    }
}

#[test]
fn a_freed_permit_is_not_taken_between_hand_off_and_wake_up() {
    let semaphore = Semaphore::new(1);
    let mut pool = Pool::default();
    let held = semaphore.try_acquire().unwrap();
    pool.start(semaphore.acquire());
    drop(held);
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    assert_eq!((pool.wakes(0), semaphore.available_permits()), (Some(1), 0));
    assert!(pool.poll(0));
    assert_eq!(semaphore.available_permits(), 0);
}

#[test]
fn a_cancelled_head_does_not_strand_smaller_requests() {
    let semaphore = Semaphore::new(2);
    let mut pool = Pool::default();
    pool.start(semaphore.acquire_many(3));
    pool.start(semaphore.acquire_many(1));
    assert_eq!(semaphore.available_permits(), 0, "those that are free belong to the first");
    drop(pool.take(0));
    assert_eq!(pool.wakes(0), Some(1));
    assert_eq!(semaphore.available_permits(), 1);
    assert!(pool.poll(0));
}

#[test]
fn a_large_request_is_not_overtaken() {
    let semaphore = Semaphore::new(3);
    let held: Vec<_> = (0..3).map(|_| semaphore.try_acquire().unwrap()).collect();
    let mut pool = Pool::default();
    pool.start(semaphore.acquire_many(3));
    pool.start(semaphore.acquire());
    for (released, permit) in held.into_iter().enumerate() {
        assert_eq!((pool.wakes(0), pool.wakes(1)), (Some(0), Some(0)), "{released} released");
        assert!(semaphore.try_acquire().is_err());
        drop(permit);
    }
    assert_eq!((pool.wakes(0), pool.wakes(1)), (Some(1), Some(0)));
}

#[test]
fn a_request_without_budget_is_served_before_a_later_one() {
    run(async {
        let semaphore = Semaphore::new(0);
        let (mut first, mut second) = (Box::pin(semaphore.acquire()), Box::pin(semaphore.acquire()));
        poll_without_budget_and_with(&mut first, &mut second).await;
        semaphore.add_permits(1);
        assert!(poll_once(second).await.is_none() && poll_once(first).await.is_some());
    });
}

#[test]
fn a_permit_acquired_without_budget_is_kept_or_given_back() {
    run(async {
        let semaphore = Semaphore::new(1);
        let mut acquire = Box::pin(semaphore.acquire());
        poll_fn(|cx| {
            spend_budget();
            assert!(acquire.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert!(semaphore.try_acquire().is_err(), "it was there first");
        drop(acquire);
        assert_eq!(semaphore.available_permits(), 1);
        let mut acquire = Box::pin(semaphore.acquire());
        poll_fn(|cx| {
            spend_budget();
            assert!(acquire.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert!(acquire.await.is_ok());
    });
}

#[test]
fn a_wait_spends_no_budget_and_an_acquisition_does() {
    run(async {
        let (empty, full) = (Semaphore::new(0), Semaphore::new(1));
        let turns = Rc::new(std::cell::Cell::new(0));
        let counted = turns.clone();
        let other = runtime::spawn(async move {
            loop {
                counted.set(counted.get() + 1);
                runtime::task::yield_now().await;
            }
        });
        poll_fn(|cx| {
            for _ in 0..300 {
                assert!(pin!(empty.acquire()).poll(cx).is_pending());
            }
            assert!(pin!(full.acquire()).poll(cx).is_ready());
            Poll::Ready(())
        })
        .await;
        assert_eq!(turns.get(), 0);
        for _ in 0..1000 {
            drop(full.acquire().await.unwrap());
        }
        assert!((3..30).contains(&turns.get()), "{}", turns.get());
        other.abort();
    });
}

#[test]
fn a_closed_semaphore_stays_closed_when_permits_are_forgotten() {
    let semaphore = Semaphore::new(10);
    semaphore.close();
    assert_eq!(semaphore.forget_permits(4), 4);
    assert!(semaphore.is_closed());
    assert_eq!(semaphore.available_permits(), 6);
}

#[test]
fn merged_permits_beyond_32_bits_all_return() {
    let all = (u32::MAX as usize) * 3;
    let semaphore = Arc::new(Semaphore::new(all));
    let mut permit = semaphore.try_acquire_many(u32::MAX).unwrap();
    let mut owned = semaphore.clone().try_acquire_many_owned(u32::MAX).unwrap();
    permit.merge(semaphore.try_acquire_many(u32::MAX / 2).unwrap());
    owned.merge(semaphore.clone().try_acquire_many_owned(u32::MAX / 2).unwrap());
    assert_eq!(permit.num_permits(), u32::MAX as usize + (u32::MAX / 2) as usize);
    drop((permit, owned));
    assert_eq!(semaphore.available_permits(), all);
}

#[test]
fn the_maximum_is_accepted_and_one_more_is_not() {
    const MAX: usize = Semaphore::MAX_PERMITS;
    assert_eq!(MAX, tokio::sync::Semaphore::MAX_PERMITS);
    assert_eq!(Semaphore::new(MAX).available_permits(), MAX);
    assert!(catch_unwind(|| Semaphore::new(MAX + 1)).is_err());
    let semaphore = Semaphore::new(0);
    semaphore.add_permits(MAX);
    assert!(catch_unwind(|| semaphore.add_permits(1)).is_err());
    assert!(catch_unwind(|| semaphore.add_permits(usize::MAX)).is_err());
    assert_eq!(semaphore.available_permits(), MAX);
}

#[test]
fn too_many_permits_at_once_still_serve_those_who_wait() {
    let semaphore = Semaphore::new(0);
    let mut pool = Pool::default();
    pool.start(semaphore.acquire());
    assert!(catch_unwind(|| semaphore.add_permits(usize::MAX)).is_err());
    assert_eq!((pool.wakes(0), semaphore.available_permits()), (Some(1), 0));
    assert!(pool.poll(0));
}

#[test]
fn permits_of_different_semaphores_are_not_merged() {
    let (one, other) = (Semaphore::new(1), Semaphore::new(1));
    let mut permit = one.try_acquire().unwrap();
    let stranger = other.try_acquire().unwrap();
    let merged = catch_unwind(AssertUnwindSafe(|| permit.merge(stranger)));
    assert!(merged.is_err());
    assert_eq!(other.available_permits(), 1, "the other permit is given back");
}

#[test]
fn an_owned_permit_may_be_the_last_owner() {
    let semaphore = Arc::new(Semaphore::new(3));
    let weak = Arc::downgrade(&semaphore);
    let mut permit = semaphore.try_acquire_many_owned(2).unwrap();
    let part = permit.split(1).unwrap();
    drop(permit);
    assert_eq!(weak.upgrade().unwrap().available_permits(), 2);
    drop(part);
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_permit_granted_to_a_future_that_nobody_polls_passes_on_when_that_is_dropped() {
    let semaphore = Semaphore::new(0);
    let mut pool = Pool::default();
    pool.start(semaphore.acquire());
    pool.start(semaphore.acquire());
    semaphore.add_permits(1);
    assert!(!pool.poll(1), "the permit is that of the first");
    drop(pool.take(0));
    assert_eq!(pool.wakes(0), Some(1));
    assert!(pool.poll(0));
}

/// The calls that a hostile waker may make.
fn calls(semaphore: &Rc<Semaphore>) -> [Box<dyn Fn()>; 5] {
    let with = |call: fn(&Semaphore)| -> Box<dyn Fn()> {
        let semaphore = semaphore.clone();
        Box::new(move || call(&semaphore))
    };
    [
        with(|semaphore| semaphore.add_permits(1)),
        with(|semaphore| drop(semaphore.try_acquire())),
        with(|semaphore| semaphore.close()),
        with(|semaphore| {
            let mut acquire = pin!(semaphore.acquire_many(2));
            _ = acquire.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }),
        with(|semaphore| {
            assert!(semaphore.forget_permits(1) <= 1);
            drop(format!("{semaphore:?}"));
        }),
    ]
}

#[test]
fn wakers_that_use_the_semaphore_find_it_consistent() {
    run(async {
        for on in FUNCTIONS {
            for which in 0..5 {
                let semaphore = Rc::new(Semaphore::new(0));
                let adversary = Adversary::new(on, Deed::Call);
                set_call(calls(&semaphore).into_iter().nth(which).unwrap());
                {
                    let mut first = pin!(semaphore.acquire());
                    let mut second = Box::pin(semaphore.acquire_many(2));
                    for _ in 0..2 {
                        let waker = adversary.waker();
                        let mut cx = Context::from_waker(&waker);
                        if first.as_mut().poll(&mut cx).is_ready() {
                            break;
                        }
                        _ = poll_once(second.as_mut()).await;
                    }
                }
                assert_eq!((adversary.failed(), adversary.live()), (0, 0), "{on:?} {which}");
                // Nobody waits and nothing was lost: what is added is there.
                let before = semaphore.available_permits();
                semaphore.add_permits(3);
                assert_eq!(semaphore.available_permits(), before + 3, "{on:?} {which}");
            }
        }
        set_call(|| {});
    });
}

#[test]
fn wakers_that_panic_leave_the_semaphore_consistent() {
    run(async {
        for on in FUNCTIONS {
            let semaphore = Semaphore::new(0);
            let adversary = Adversary::new(on, Deed::PanicAlways);
            let (mut pool, waker) = (Pool::default(), adversary.waker());
            {
                let mut hostile = Box::pin(semaphore.acquire());
                let polled = catch_unwind(AssertUnwindSafe(|| {
                    hostile.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
                }));
                assert_eq!(polled.is_err(), on == On::Clone, "{on:?}");
                pool.start(semaphore.acquire());
                semaphore.add_permits(1);
            }
            // Its drop may panic too.
            _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
            assert!(pool.poll(0), "{on:?}: the second got the permit, at once or after the first");
            assert_eq!(semaphore.available_permits(), 0);
        }
    });
}

#[test]
fn ten_thousand_polls_clone_and_keep_one_waker() {
    let semaphore = Semaphore::new(0);
    let adversary = Adversary::new(On::Clone, Deed::Nothing);
    let waker = adversary.waker();
    let mut acquire = Box::pin(semaphore.acquire());
    for _ in 0..rounds(10_000, 10_000, 10) {
        assert!(acquire.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!((adversary.calls(), adversary.live()), (1, 2));
    // Another waker takes its place.
    assert!(acquire.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(adversary.live(), 1);
}

#[test]
fn a_clone_of_a_waker_that_releases_a_permit_makes_the_future_ready() {
    run(async {
        let semaphore = Rc::new(Semaphore::new(0));
        let adversary = Adversary::new(On::Clone, Deed::Call);
        let waker = adversary.waker();
        let other = semaphore.clone();
        set_call(move || other.add_permits(1));
        let (mut first, mut second) = (Box::pin(semaphore.acquire()), Box::pin(semaphore.acquire()));
        // At the first poll, and when it takes the place of another waker.
        let Poll::Ready(permit) = first.as_mut().poll(&mut Context::from_waker(&waker)) else {
            panic!("there is one")
        };
        permit.unwrap().forget();
        assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(second.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        assert_eq!((adversary.calls(), adversary.failed(), adversary.live()), (2, 0, 1));
        set_call(|| {});
    });
}

#[test]
#[cfg_attr(miri, ignore = "leaks the future on purpose")]
fn a_forgotten_future_leaks_no_waker() {
    let semaphore = Semaphore::new(0);
    let (counting, waker) = CountingWaker::new();
    let mut acquire = Box::pin(semaphore.acquire());
    assert!(acquire.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    common::forget(acquire);
    drop(semaphore);
    assert_eq!(Arc::strong_count(&counting), 2);
}

#[test]
fn a_panic_may_pass_through_it() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<Semaphore>();
    is_unwind_safe::<Arc<Semaphore>>();
}

#[test]
fn its_errors_say_what_tokios_say() {
    run(async {
        let (ours, theirs) = (Semaphore::new(0), tokio::sync::Semaphore::new(0));
        assert_eq!(
            format!("{}", ours.try_acquire().unwrap_err()),
            format!("{}", theirs.try_acquire().unwrap_err())
        );
        ours.close();
        theirs.close();
        let (our, their) = (ours.acquire().await.unwrap_err(), theirs.acquire().await.unwrap_err());
        assert_eq!(format!("{our} {our:?}"), format!("{their} {their:?}"));
        let (our, their) = (ours.try_acquire().unwrap_err(), theirs.try_acquire().unwrap_err());
        assert_eq!(format!("{our} {our:?}"), format!("{their} {their:?}"));
    });
}
