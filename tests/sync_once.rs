//! `sync::OnceCell` and `sync::SetOnce`: what tokio's do, in each step of random stories; and what goes wrong when a value
//! is set once.

mod common;

use common::adversary::{Adversary, Deed, FUNCTIONS, set_call};
use common::pool::{Pool, stories};
use common::{Count, CountOnDrop, poll_once, rounds, run, yield_times};
use proptest::prelude::*;
use runtime::sync::{Notify, OnceCell, SetError, SetOnce, SetOnceError};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Clone, Copy, Debug)]
enum Step {
    GetOrInit,
    GetOrTryInit,
    Poll(usize),
    Drop(usize),
    /// Lets every initialiser end that is running: the number that it returns.
    Finish,
    /// Lets every initialiser that can fail do so.
    Fail,
    Set,
    Get,
    SetOnce,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<usize>;
    prop_oneof![
        4 => Just(Step::GetOrInit),
        4 => Just(Step::GetOrTryInit),
        8 => any().prop_map(Step::Poll),
        6 => any().prop_map(Step::Drop),
        1 => Just(Step::Finish),
        2 => Just(Step::Fail),
        1 => Just(Step::Set),
        1 => Just(Step::Get),
        1 => Just(Step::SetOnce),
        6 => Just(Step::Wait),
    ]
}

/// The observation after a step: the `Debug` texts of the two cells, the result of the step, and for each future the number
/// of its wakes, or its output.
type Seen = (String, String, Vec<Result<Option<usize>, usize>>);

/// Takes the steps, and tells what is seen after each.
macro_rules! story {
    ($name:ident, $sync:path) => {
        fn $name(steps: &[Step]) -> Vec<Seen> {
            use $sync as sync;
            let (cell, once) = (sync::OnceCell::new(), sync::SetOnce::new());
            let (finished, failed) = (Cell::new(0), Cell::new(0));
            let (cell, once, finished, failed) = (&cell, &once, &finished, &failed);
            let mut pool = Pool::default();
            let mut seen = Vec::new();
            for (number, step) in steps.iter().enumerate() {
                let mut result = String::new();
                // Initialisers end when the count is higher than it was at their beginning.
                let initialise = move |can_fail: bool| {
                    let (end, fail) = (finished.get(), failed.get());
                    poll_fn(move |_| {
                        if finished.get() > end {
                            Poll::Ready(Ok(number))
                        } else if can_fail && failed.get() > fail {
                            Poll::Ready(Err(()))
                        } else {
                            Poll::Pending
                        }
                    })
                };
                match *step {
                    Step::GetOrInit => pool.start(async move {
                        Some(*cell.get_or_init(|| async { initialise(false).await.unwrap() }).await)
                    }),
                    Step::GetOrTryInit => {
                        pool.start(
                            async move { cell.get_or_try_init(|| initialise(true)).await.ok().copied() },
                        );
                    }
                    Step::Poll(which) => _ = pool.poll(which),
                    Step::Drop(which) => _ = pool.take(which),
                    Step::Finish => finished.set(finished.get() + 1),
                    Step::Fail => failed.set(failed.get() + 1),
                    Step::Set => {
                        let set = cell.set(number);
                        let error = set.as_ref().err();
                        let kinds =
                            error.map(|error| (error.is_already_init_err(), error.is_initializing_err()));
                        result = format!("{set:?} {kinds:?} {:?}", error.map(ToString::to_string));
                    }
                    Step::Get => result = format!("{:?} {}", cell.get(), cell.initialized()),
                    Step::SetOnce => {
                        let set = once.set(number);
                        result = format!("{set:?} {:?}", set.as_ref().err().map(ToString::to_string));
                    }
                    Step::Wait => pool.start(async { Some(*once.wait().await) }),
                }
                seen.push((format!("{cell:?} {once:?}"), result, pool.seen(|output| *output)));
            }
            seen
        }
    };
}

story!(ours, runtime::sync);
story!(tokios, tokio::sync);

proptest! {
    #![proptest_config(stories(rounds(80_000, 2_000, 3)))]

    #[test]
    fn they_do_what_tokios_do(steps in prop::collection::vec(step(), 0..60)) {
        prop_assert_eq!(ours(&steps), tokios(&steps));
    }
}

#[test]
fn a_second_initialiser_goes_on_when_the_first_is_cancelled() {
    let cell = OnceCell::new();
    let mut pool = Pool::default();
    pool.start(cell.get_or_init(pending));
    pool.start(cell.get_or_init(|| async { 2 }));
    assert_eq!(cell.set(3), Err(SetError::InitializingError(3)));
    drop(pool.take(0));
    assert_eq!(pool.wakes(0), Some(1));
    assert_eq!(cell.set(3), Err(SetError::InitializingError(3)), "the turn is that of the second");
    assert!(pool.poll(0));
    assert_eq!(cell.set(3), Err(SetError::AlreadyInitializedError(3)));
    assert_eq!(cell.get(), Some(&2));
}

#[test]
fn an_initialiser_that_panics_gives_its_turn_to_the_next() {
    run(async {
        let (cell, go) = (Rc::new(OnceCell::new()), Rc::new(Notify::new()));
        let (other, gone) = (cell.clone(), go.clone());
        let first = runtime::spawn(async move {
            let fail = || async {
                gone.notified().await;
                common::panic_quietly("meant")
            };
            *other.get_or_init(fail).await
        });
        let other = cell.clone();
        yield_times(1).await;
        let second = runtime::spawn(async move { *other.get_or_init(|| async { 2 }).await });
        yield_times(1).await;
        go.notify_one();
        assert!(first.await.unwrap_err().is_panic());
        assert_eq!(second.await.unwrap(), 2);
    });
}

#[test]
fn values_are_dropped_once_and_can_be_taken_out() {
    let drops = Count::default();
    let value = || CountOnDrop(drops.clone());
    let mut cell = OnceCell::from(value());
    assert!(cell.get_mut().is_some());
    drop(cell.take());
    assert_eq!((drops.get(), cell.initialized()), (1, false));
    assert!(cell.set(value()).is_ok(), "an empty cell can be set again");
    drop(cell.into_inner());
    drop(OnceCell::const_new_with(value()));
    drop(OnceCell::new_with(Some(value())));
    drop(SetOnce::const_new_with(value()));
    drop(SetOnce::new_with(Some(value())).into_inner());
    let once = SetOnce::new();
    assert!(once.set(value()).is_ok());
    let SetOnceError(refused) = once.set(value()).unwrap_err();
    drop((refused, once));
    assert_eq!(drops.get(), 8);
    assert!(
        OnceCell::<u8>::new_with(None).into_inner().is_none()
            && SetOnce::<u8>::new_with(None).get().is_none()
    );
}

#[test]
fn cells_compare_and_clone_as_their_values_do() {
    let (one, other) = (OnceCell::from(1), OnceCell::new());
    assert!(one != other && one.clone() == one && other.clone() == OnceCell::default());
    let (one, other) = (SetOnce::from(1), SetOnce::new());
    assert!(one != other && one.clone() == one && other.clone() == SetOnce::default());
}

#[test]
fn all_who_wait_for_a_value_are_woken_once() {
    let once = SetOnce::new();
    let mut pool = Pool::default();
    (0..100).for_each(|_| pool.start(once.wait()));
    once.set(7).unwrap();
    assert!((0..100).all(|index| pool.wakes(index) == Some(1)));
    assert_eq!(pool.run(), 100);
    assert!((0..100).all(|index| pool.output(index) == Some(&mut &7)));
}

#[test]
fn wakers_that_use_a_cell_find_it_consistent() {
    run(async {
        for on in FUNCTIONS {
            let (cell, once) = (Rc::new(OnceCell::new()), Rc::new(SetOnce::new()));
            let adversary = Adversary::new(on, Deed::Call);
            let both = (cell.clone(), once.clone());
            set_call(move || {
                _ = (both.0.set(1), both.1.set(1));
                _ = pin!(both.1.wait()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
            });
            {
                let waker = adversary.waker();
                let mut cx = Context::from_waker(&waker);
                let mut first = Box::pin(cell.get_or_init(pending));
                assert!(first.as_mut().poll(&mut cx).is_pending());
                let (mut second, mut wait) = (pin!(cell.get_or_init(|| async { 2 })), pin!(once.wait()));
                _ = second.as_mut().poll(&mut cx).is_ready();
                let is_ready = wait.as_mut().poll(&mut cx).is_ready();
                drop(first);
                assert_eq!(poll_once(second).await, Some(&2), "{on:?}: it was its turn");
                _ = once.set(2);
                assert!(is_ready || poll_once(wait).await == once.get(), "{on:?}");
            }
            assert_eq!((adversary.failed(), adversary.live()), (0, 0), "{on:?}");
        }
        set_call(|| {});
    });
}
