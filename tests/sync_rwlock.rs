//! `sync::RwLock`: what tokio's does, in each step of random stories; its guards; and what goes wrong in locks.
#![allow(clippy::arc_with_non_send_sync, reason = "owned guards take an `Arc`, as tokio's do")]

mod common;

use common::adversary::{Adversary, Deed, FUNCTIONS, set_call};
use common::pool::{Pool, poll_without_budget_and_with, stories};
use common::{Count, CountOnDrop, message, poll_once, rounds, run};
use proptest::prelude::*;
use runtime::sync::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockMappedWriteGuard,
    RwLockReadGuard, RwLockWriteGuard,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[derive(Clone, Copy, Debug)]
enum Step {
    Read,
    Write,
    ReadOwned,
    WriteOwned,
    TryRead,
    TryWrite,
    Poll(usize),
    PollElsewhere(usize),
    Add(usize),
    Downgrade(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<usize>;
    prop_oneof![
        8 => Just(Step::Read),
        4 => Just(Step::Write),
        2 => Just(Step::ReadOwned),
        2 => Just(Step::WriteOwned),
        2 => Just(Step::TryRead),
        2 => Just(Step::TryWrite),
        12 => any().prop_map(Step::Poll),
        2 => any().prop_map(Step::PollElsewhere),
        4 => any().prop_map(Step::Add),
        3 => any().prop_map(Step::Downgrade),
        14 => any().prop_map(Step::Drop),
    ]
}

/// The observation after a step: the `Debug` text of the lock, and for each future the number of its wakes, or the value in
/// its guard.
type Seen = (String, Vec<Result<usize, usize>>);

/// Takes the steps with a lock, and tells what is seen after each.
macro_rules! story {
    ($name:ident, $sync:path) => {
        fn $name(max_readers: u32, steps: &[Step]) -> Vec<Seen> {
            use $sync as sync;
            enum Guard<'a> {
                Read(sync::RwLockReadGuard<'a, usize>),
                Write(sync::RwLockWriteGuard<'a, usize>),
                ReadOwned(sync::OwnedRwLockReadGuard<usize>),
                WriteOwned(sync::OwnedRwLockWriteGuard<usize>),
            }
            use Guard::*;
            let lock = Arc::new(sync::RwLock::with_max_readers(0, max_readers));
            let (lock, mut pool) = (&lock, Pool::default());
            let mut seen = Vec::new();
            for step in steps {
                match *step {
                    Step::Read => pool.start(async { Read(lock.read().await) }),
                    Step::Write => pool.start(async { Write(lock.write().await) }),
                    Step::ReadOwned => pool.start(async { ReadOwned(lock.clone().read_owned().await) }),
                    Step::WriteOwned => pool.start(async { WriteOwned(lock.clone().write_owned().await) }),
                    Step::TryRead => {
                        _ = lock.try_read().map(|guard| pool.put(Read(guard)));
                        _ = lock.clone().try_read_owned().map(|guard| pool.put(ReadOwned(guard)));
                    }
                    Step::TryWrite => {
                        _ = lock.try_write().map(|guard| pool.put(Write(guard)));
                        _ = lock.clone().try_write_owned().map(|guard| pool.put(WriteOwned(guard)));
                    }
                    Step::Poll(which) => _ = pool.poll(which),
                    Step::PollElsewhere(which) => _ = pool.poll_elsewhere(which),
                    Step::Add(which) => match pool.output(which) {
                        Some(Write(guard)) => **guard += 1,
                        Some(WriteOwned(guard)) => **guard += 10,
                        _ => {}
                    },
                    Step::Downgrade(which) => {
                        if let Some(guard) = pool.take_output(which) {
                            pool.put(match guard {
                                Write(guard) => Read(guard.downgrade()),
                                WriteOwned(guard) => ReadOwned(guard.downgrade()),
                                reader => reader,
                            });
                        }
                    }
                    Step::Drop(which) => _ = pool.take(which),
                }
                let value = |guard: &Guard| match guard {
                    Read(guard) => **guard,
                    Write(guard) => **guard,
                    ReadOwned(guard) => **guard,
                    WriteOwned(guard) => **guard,
                };
                seen.push((format!("{lock:?}"), pool.seen(value)));
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
    fn it_does_what_tokios_does(
        max_readers in prop_oneof![1..4u32, Just(u32::MAX >> 3)],
        steps in prop::collection::vec(step(), 0..100),
    ) {
        prop_assert_eq!(ours(max_readers, &steps), tokios(max_readers, &steps));
    }
}

#[test]
fn a_reader_does_not_overtake_a_writer_that_waits() {
    let lock = RwLock::new(());
    let mut pool = Pool::default();
    let reader = lock.try_read().unwrap();
    pool.start(async { drop(lock.write().await) });
    assert!(lock.try_read().is_err());
    pool.start(async { drop(lock.read().await) });
    drop(reader);
    assert_eq!((pool.wakes(0), pool.wakes(1)), (Some(1), Some(0)));
    assert!(pool.poll(0));
    assert_eq!(pool.wakes(1), Some(1));
}

#[test]
fn a_cancelled_writer_lets_the_readers_behind_it_in() {
    let lock = RwLock::new(());
    let mut pool = Pool::default();
    let _reader = lock.try_read().unwrap();
    pool.start(async { drop(lock.write().await) });
    pool.start(async { drop(lock.read().await) });
    pool.start(async { drop(lock.read().await) });
    drop(pool.take(0));
    assert_eq!((pool.wakes(0), pool.wakes(1)), (Some(1), Some(1)));
}

#[test]
fn a_lock_granted_to_a_future_that_nobody_polls_passes_on_when_that_is_dropped() {
    let lock = RwLock::new(());
    let mut pool = Pool::default();
    let held = lock.try_write().unwrap();
    pool.start(lock.write());
    pool.start(lock.write());
    drop(held);
    assert!(!pool.poll(1) && lock.try_read().is_err(), "the lock is that of the first");
    drop(pool.take(0));
    assert_eq!(pool.wakes(0), Some(1));
    assert!(pool.poll(0));
}

#[test]
fn a_lock_polled_without_budget_is_served_before_a_later_one() {
    run(async {
        let lock = RwLock::new(());
        let held = lock.write().await;
        let (mut first, mut second) = (Box::pin(lock.write()), Box::pin(lock.read()));
        poll_without_budget_and_with(&mut first, &mut second).await;
        drop(held);
        assert!(poll_once(second).await.is_none() && poll_once(first).await.is_some());
    });
}

#[test]
fn a_downgrade_lets_readers_in_and_no_writer() {
    let lock = RwLock::new(1);
    let mut pool = Pool::default();
    let mut writer = lock.try_write().unwrap();
    pool.start(async { *lock.read().await });
    pool.start(async { *lock.write().await });
    pool.start(async { *lock.read().await });
    *writer = 2;
    let reader = writer.downgrade();
    assert_eq!((pool.wakes(0), pool.wakes(1), pool.wakes(2)), (Some(1), Some(0), Some(0)));
    assert!(pool.poll(0));
    assert_eq!(pool.output(0), Some(&mut 2));
    drop(reader);
    assert_eq!((pool.wakes(1), pool.wakes(2)), (Some(1), Some(0)));
}

#[test]
fn a_reader_that_a_downgrade_wakes_may_read_at_once() {
    run(async {
        let lock = Rc::new(RwLock::new(1));
        let adversary = Adversary::new(common::adversary::On::Wake, Deed::Call);
        let (other, seen) = (lock.clone(), Rc::new(Cell::new(0)));
        let set = seen.clone();
        set_call(move || set.set(*other.try_read().expect("there is a reader")));
        let mut writer = lock.write().await;
        let waker = adversary.waker();
        let mut read = pin!(lock.read());
        assert!(read.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        *writer = 2;
        let reader = RwLockWriteGuard::downgrade_map(writer, |value| value);
        assert_eq!((seen.get(), *reader, adversary.failed()), (2, 2, 0));
        set_call(|| {});
    });
}

#[test]
fn a_mapped_write_guard_keeps_readers_out_of_a_cell() {
    let lock = RwLock::new(Cell::new(1));
    let mut number = RwLockWriteGuard::map(lock.try_write().unwrap(), Cell::get_mut);
    *number = 2;
    assert!(lock.try_read().is_err());
    drop(number);
    // The closure of `downgrade_map` has a shared reference, so readers may change the cell.
    let cell = RwLockWriteGuard::downgrade_map(lock.try_write().unwrap(), |cell| cell);
    lock.try_read().unwrap().set(3);
    assert_eq!(cell.get(), 3);
}

#[test]
fn guards_of_writers_narrow_to_parts() {
    let lock = RwLock::new((1, [2, 3]));
    let guard = RwLockWriteGuard::try_map(lock.try_write().unwrap(), |_| None::<&mut u8>).unwrap_err();
    let guard = RwLockWriteGuard::try_downgrade_map(guard, |_| None::<&u8>).unwrap_err();
    let guard = RwLockMappedWriteGuard::map(RwLockWriteGuard::into_mapped(guard), |value| &mut value.1);
    let guard = RwLockMappedWriteGuard::try_map(guard, |array| array.get_mut(2)).unwrap_err();
    let mut first = RwLockMappedWriteGuard::try_map(guard, |array| array.first_mut()).unwrap();
    *first = 20;
    assert_eq!(format!("{first} {first:?} {lock:?}"), "20 20 RwLock { data: <locked> }");
    drop(first);
    let first = RwLockWriteGuard::try_map(lock.try_write().unwrap(), |value| Some(&mut value.0)).unwrap();
    assert_eq!(*first, 1);
    drop(first);
    let array =
        RwLockWriteGuard::try_downgrade_map(lock.try_write().unwrap(), |value| Some(&value.1)).unwrap();
    assert_eq!((*array, lock.try_read().unwrap().1), ([20, 3], [20, 3]));
    drop(array);
    assert_eq!(lock.into_inner(), (1, [20, 3]));
}

#[test]
fn guards_of_readers_narrow_to_parts() {
    let lock = Arc::new(RwLock::new((1, [2, 3])));
    let array = RwLockReadGuard::map(lock.try_read().unwrap(), |value| &value.1);
    let array = RwLockReadGuard::try_map(array, |array| array.get(2)).unwrap_err();
    let first = RwLockReadGuard::try_map(array, |array| array.first()).unwrap();
    assert_eq!(format!("{first} {first:?} {lock:?}"), "2 2 RwLock { data: (1, [2, 3]) }");
    let owned = lock.clone().try_read_owned().unwrap();
    assert!(Arc::ptr_eq(OwnedRwLockReadGuard::rwlock(&owned), &lock));
    let owned = OwnedRwLockReadGuard::map(owned, |value| &value.1);
    let owned = OwnedRwLockReadGuard::try_map(owned, |array| array.get(2)).unwrap_err();
    let owned = OwnedRwLockReadGuard::try_map(owned, |array| array.last()).unwrap();
    assert_eq!((*first, *owned), (2, 3));
    assert!(lock.try_write().is_err());
    drop(first);
    assert!(lock.try_write().is_err());
    drop(owned);
    assert!(lock.try_write().is_ok());
}

#[test]
fn an_owned_guard_gives_the_lock_back_before_it_drops_the_last_pointer() {
    let drops = Count::default();
    let new = || Arc::new(RwLock::new((CountOnDrop(drops.clone()), 1)));
    let write = |lock: Arc<RwLock<_>>| lock.try_write_owned().unwrap();
    drop(new().try_read_owned().unwrap());
    drop(OwnedRwLockReadGuard::map(new().try_read_owned().unwrap(), |pair| &pair.1));
    let guard = write(new());
    assert_eq!(
        OwnedRwLockWriteGuard::rwlock(&guard).try_read().err().map(|error| error.to_string()).as_deref(),
        Some("operation would block")
    );
    drop(guard);
    drop(OwnedRwLockWriteGuard::map(write(new()), |pair| &mut pair.1));
    drop(OwnedRwLockWriteGuard::try_map(write(new()), |pair| Some(&mut pair.1)).unwrap());
    drop(OwnedRwLockWriteGuard::downgrade_map(write(new()), |pair| &pair.1));
    drop(OwnedRwLockWriteGuard::try_downgrade_map(write(new()), |pair| Some(&pair.1)).unwrap());
    drop(write(new()).downgrade());
    let mapped = OwnedRwLockWriteGuard::into_mapped(write(new()));
    assert!(OwnedRwLockMappedWriteGuard::rwlock(&mapped).try_read().is_err());
    let mapped = OwnedRwLockMappedWriteGuard::try_map(mapped, |_| None::<&mut u8>).unwrap_err();
    drop(OwnedRwLockMappedWriteGuard::map(mapped, |pair| &mut pair.1));
    assert_eq!(drops.get(), 9);
}

#[test]
fn a_lock_without_readers_or_with_too_many_is_refused_at_the_callers_line() {
    for (readers, words) in [(0, "0 readers"), ((u32::MAX >> 3) + 1, "more than u32::MAX >> 3 readers")] {
        let payload = catch_unwind(|| RwLock::with_max_readers((), readers)).unwrap_err();
        assert!(message(&*payload).contains(words), "{}", message(&*payload));
    }
    drop(RwLock::with_max_readers((), u32::MAX >> 3));
}

#[test]
fn wakers_that_use_the_lock_find_it_consistent() {
    run(async {
        for on in FUNCTIONS {
            for is_write in [false, true] {
                let lock = Arc::new(RwLock::new(0));
                let adversary = Adversary::new(on, Deed::Call);
                let kept = Rc::new(Cell::new(Some(lock.clone().write_owned().await)));
                let (other, unlocked) = (lock.clone(), kept.clone());
                set_call(move || {
                    drop(unlocked.take());
                    let mut cx = Context::from_waker(Waker::noop());
                    if is_write {
                        _ = pin!(other.write()).poll(&mut cx).is_ready();
                    } else {
                        _ = pin!(other.read()).poll(&mut cx).is_ready();
                    }
                });
                {
                    let waker = adversary.waker();
                    let mut write = pin!(lock.write());
                    let poll = write.as_mut().poll(&mut Context::from_waker(&waker));
                    drop(kept.take());
                    let mut guard = match poll {
                        Poll::Ready(guard) => guard,
                        Poll::Pending => poll_once(write).await.expect("nobody else keeps the lock"),
                    };
                    *guard += 1;
                }
                assert_eq!((adversary.failed(), adversary.live()), (0, 0), "{on:?}");
                assert_eq!(*lock.try_write().unwrap(), 1, "{on:?}");
            }
        }
        set_call(|| {});
    });
}

#[test]
fn a_panic_in_a_closure_gives_the_lock_back() {
    let lock = RwLock::new(1);
    let writer = lock.try_write().unwrap();
    let mapped = catch_unwind(AssertUnwindSafe(|| {
        drop(RwLockWriteGuard::downgrade_map(writer, |_| -> &u8 { common::panic_quietly("meant") }));
    }));
    assert!(mapped.is_err() && lock.try_write().is_ok());
    fn is_unwind_safe<T: UnwindSafe>() {}
    is_unwind_safe::<RwLock<u8>>();
}
