//! `sync::Mutex`: what tokio's does, in each step of random stories; its guards; and what goes wrong in locks.
#![allow(clippy::arc_with_non_send_sync, reason = "owned guards take an `Arc`, as tokio's do")]

mod common;

use common::adversary::{Adversary, Deed, FUNCTIONS, set_call};
use common::pool::{Pool, poll_without_budget_and_with, stories};
use common::{Count, CountOnDrop, poll_once, rounds, run, yield_times};
use proptest::prelude::*;
use runtime::sync::{MappedMutexGuard, Mutex, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[derive(Clone, Copy, Debug)]
enum Step {
    Lock,
    LockOwned,
    TryLock,
    TryLockOwned,
    Poll(usize),
    PollElsewhere(usize),
    Add(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<usize>;
    prop_oneof![
        4 => Just(Step::Lock),
        2 => Just(Step::LockOwned),
        1 => Just(Step::TryLock),
        1 => Just(Step::TryLockOwned),
        6 => any().prop_map(Step::Poll),
        1 => any().prop_map(Step::PollElsewhere),
        2 => any().prop_map(Step::Add),
        6 => any().prop_map(Step::Drop),
    ]
}

/// The observation after a step: the `Debug` text of the mutex, and for each future the number of its wakes, or the value
/// in its guard.
type Seen = (String, Vec<Result<usize, usize>>);

/// Takes the steps with a mutex, and tells what is seen after each.
macro_rules! story {
    ($name:ident, $sync:path) => {
        fn $name(steps: &[Step]) -> Vec<Seen> {
            use $sync as sync;
            enum Guard<'a> {
                Borrowed(sync::MutexGuard<'a, usize>),
                Owned(sync::OwnedMutexGuard<usize>),
            }
            let mutex = Arc::new(sync::Mutex::new(0));
            let (mutex, mut pool) = (&mutex, Pool::default());
            let mut seen = Vec::new();
            for step in steps {
                match *step {
                    Step::Lock => pool.start(async { Guard::Borrowed(mutex.lock().await) }),
                    Step::LockOwned => pool.start(async { Guard::Owned(mutex.clone().lock_owned().await) }),
                    Step::TryLock => _ = mutex.try_lock().map(|guard| pool.put(Guard::Borrowed(guard))),
                    Step::TryLockOwned => {
                        _ = mutex.clone().try_lock_owned().map(|guard| pool.put(Guard::Owned(guard)));
                    }
                    Step::Poll(which) => _ = pool.poll(which),
                    Step::PollElsewhere(which) => _ = pool.poll_elsewhere(which),
                    Step::Add(which) => match pool.output(which) {
                        Some(Guard::Borrowed(guard)) => **guard += 1,
                        Some(Guard::Owned(guard)) => **guard += 10,
                        None => {}
                    },
                    Step::Drop(which) => _ = pool.take(which),
                }
                let value = |guard: &Guard| match guard {
                    Guard::Borrowed(guard) => **guard,
                    Guard::Owned(guard) => **guard,
                };
                seen.push((format!("{mutex:?}"), pool.seen(value)));
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
    fn it_does_what_tokios_does(steps in prop::collection::vec(step(), 0..100)) {
        prop_assert_eq!(ours(&steps), tokios(&steps));
    }
}

#[test]
fn a_lock_polled_without_budget_is_served_before_a_later_one() {
    run(async {
        let mutex = Mutex::new(());
        let held = mutex.lock().await;
        let (mut first, mut second) = (Box::pin(mutex.lock()), Box::pin(mutex.lock()));
        poll_without_budget_and_with(&mut first, &mut second).await;
        drop(held);
        assert!(poll_once(second).await.is_none() && poll_once(first).await.is_some());
    });
}

#[test]
fn a_lock_granted_to_a_future_that_nobody_polls_passes_on_when_that_is_dropped() {
    let mutex = Mutex::new(());
    let mut pool = Pool::default();
    let held = mutex.try_lock().unwrap();
    pool.start(mutex.lock());
    pool.start(mutex.lock());
    drop(held);
    assert!(!pool.poll(1) && mutex.try_lock().is_err(), "the lock is that of the first");
    drop(pool.take(0));
    assert_eq!(pool.wakes(0), Some(1));
    assert!(pool.poll(0));
}

#[test]
fn an_owned_guard_unlocks_before_it_drops_the_last_pointer() {
    let drops = Count::default();
    let new = || Arc::new(Mutex::new((CountOnDrop(drops.clone()), 1)));
    let lock = |mutex: Arc<Mutex<_>>| mutex.try_lock_owned().unwrap();
    drop(lock(new()));
    drop(OwnedMutexGuard::map(lock(new()), |pair| &mut pair.1));
    drop(OwnedMutexGuard::try_map(lock(new()), |pair| Some(&mut pair.1)).unwrap());
    drop(OwnedMutexGuard::try_map(lock(new()), |_| None::<&mut u32>).unwrap_err());
    let mapped = OwnedMutexGuard::map(lock(new()), |pair| pair);
    drop(OwnedMappedMutexGuard::map(mapped, |pair| &mut pair.1));
    assert_eq!(drops.get(), 5);
}

#[test]
fn guards_narrow_to_parts_and_unlock_when_they_are_dropped() {
    let mutex = Mutex::new((1, [2, 3]));
    let guard = mutex.try_lock().unwrap();
    assert!(std::ptr::eq(MutexGuard::mutex(&guard), &mutex));
    let array = MutexGuard::map(guard, |value| &mut value.1);
    let mut array = MappedMutexGuard::try_map(array, |array| array.get_mut(2)).unwrap_err();
    array[0] = 20;
    let mut last = MappedMutexGuard::map(array, |array| &mut array[1]);
    *last += 27;
    assert_eq!(format!("{last} {last:?}"), "30 30");
    assert!(mutex.try_lock().is_err());
    drop(last);
    assert_eq!(*mutex.try_lock().unwrap(), (1, [20, 30]));
    let guard = mutex.try_lock().unwrap();
    let mut guard = MutexGuard::try_map(guard, |_| None::<&mut u8>).unwrap_err();
    guard.0 = 10;
    assert_eq!(*MutexGuard::try_map(guard, |value| Some(&mut value.0)).unwrap(), 10);
    assert_eq!(mutex.into_inner(), (10, [20, 30]));
}

#[test]
fn owned_guards_narrow_to_parts() {
    let mutex = Arc::new(Mutex::new((1, [2, 3])));
    let guard = mutex.clone().try_lock_owned().unwrap();
    assert!(Arc::ptr_eq(OwnedMutexGuard::mutex(&guard), &mutex));
    let array = OwnedMutexGuard::map(guard, |value| &mut value.1);
    let mut first = OwnedMappedMutexGuard::try_map(array, |array| array.first_mut()).unwrap();
    *first = 20;
    assert_eq!(format!("{first} {first:?}"), "20 20");
    let first = OwnedMappedMutexGuard::try_map(first, |_| None::<&mut u8>).unwrap_err();
    drop(first);
    assert_eq!(format!("{mutex:?}"), "Mutex { data: (1, [20, 3]) }");
}

#[test]
fn a_panic_in_the_closure_of_map_unlocks() {
    let mutex = Mutex::new(1);
    let guard = mutex.try_lock().unwrap();
    let mapped =
        catch_unwind(AssertUnwindSafe(|| drop(MutexGuard::map(guard, |_| -> &mut u8 { panic!("meant") }))));
    assert!(mapped.is_err());
    assert_eq!(*mutex.try_lock().unwrap(), 1);
}

#[test]
fn a_task_that_panics_with_the_lock_gives_it_to_the_next() {
    run(async {
        let mutex = Rc::new(Mutex::new(0));
        let held = mutex.clone();
        let panicking = runtime::spawn(async move {
            let mut guard = held.lock().await;
            *guard = 1;
            runtime::task::yield_now().await;
            common::panic_quietly("meant");
        });
        yield_times(1).await;
        assert_eq!(*mutex.lock().await, 1);
        assert!(panicking.await.unwrap_err().is_panic());
    });
}

#[test]
fn a_mutex_may_hold_what_has_no_size() {
    let mutex: Arc<Mutex<[u8]>> = Arc::new(Mutex::new([1, 2, 3]));
    mutex.try_lock().unwrap()[0] = 9;
    let slice = OwnedMutexGuard::map(mutex.clone().try_lock_owned().unwrap(), |slice| &mut slice[..2]);
    assert_eq!(*slice, [9, 2]);
    drop(slice);
    let dynamic: Box<Mutex<dyn Fn() -> u8>> = Box::new(Mutex::new(|| 7));
    assert_eq!((dynamic.try_lock().unwrap())(), 7);
}

#[test]
fn wakers_that_use_the_mutex_find_it_consistent() {
    run(async {
        for on in FUNCTIONS {
            for is_try in [false, true] {
                let mutex = Arc::new(Mutex::new(0));
                let adversary = Adversary::new(on, Deed::Call);
                let kept = Rc::new(Cell::new(Some(mutex.clone().lock_owned().await)));
                let (other, unlocked) = (mutex.clone(), kept.clone());
                set_call(move || {
                    drop(unlocked.take());
                    if is_try {
                        drop(other.try_lock());
                    } else {
                        let mut lock = pin!(other.lock());
                        _ = lock.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    }
                });
                {
                    let waker = adversary.waker();
                    let mut lock = pin!(mutex.lock());
                    let poll = lock.as_mut().poll(&mut Context::from_waker(&waker));
                    drop(kept.take());
                    let mut guard = match poll {
                        Poll::Ready(guard) => guard,
                        Poll::Pending => poll_once(lock).await.expect("nobody else keeps the lock"),
                    };
                    *guard += 1;
                }
                assert_eq!((adversary.failed(), adversary.live()), (0, 0), "{on:?}");
                assert_eq!(*mutex.try_lock().unwrap(), 1, "{on:?}");
            }
        }
        set_call(|| {});
    });
}

#[test]
fn its_error_says_what_tokios_says() {
    let (ours, theirs) = (Mutex::new(()), tokio::sync::Mutex::new(()));
    let _held = (ours.try_lock().unwrap(), theirs.try_lock().unwrap());
    let (our, their) = (ours.try_lock().unwrap_err(), theirs.try_lock().unwrap_err());
    assert_eq!(format!("{our} {our:?}"), format!("{their} {their:?}"));
}

/// Compiles only if a type is not `Send`: if it is, it is not clear which implementation is meant.
trait NotSend<Ambiguous> {
    fn check() {}
}

impl<T: ?Sized> NotSend<()> for T {}
impl<T: ?Sized + Send> NotSend<u8> for T {}

#[test]
fn it_is_for_one_thread_and_a_panic_may_pass_through_it() {
    fn is_unwind_safe<T: UnwindSafe>() {}
    is_unwind_safe::<Mutex<u8>>();
    <Mutex<u8> as NotSend<_>>::check();
    <MutexGuard<'_, u8> as NotSend<_>>::check();
    <OwnedMutexGuard<u8> as NotSend<_>>::check();
    <runtime::sync::Semaphore as NotSend<_>>::check();
}
