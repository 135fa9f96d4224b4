//! The memory that the locks of `sync` take: none while no task waits, and little once no task waits any more.

mod common;

use common::heap::{Counting, allocations, live_bytes};
use common::rounds;
use runtime::sync::{Barrier, Mutex, Notify, OnceCell, RwLock, Semaphore, SetOnce};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[global_allocator]
static HEAP: Counting = Counting;

/// The number of allocations within a call.
fn allocations_of(call: impl FnOnce()) -> usize {
    let before = allocations();
    call();
    allocations() - before
}

/// The output of a future that has to be ready at its first poll.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it has to wait"),
    }
}

fn has_to_wait<T>(future: impl Future<Output = T>) {
    assert!(pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn what_does_not_wait_is_ready_at_its_first_poll_and_allocates_nothing() {
    let (mutex, rwlock, semaphore) = (Mutex::new(1), RwLock::new(1), Semaphore::new(2));
    let (notify, barrier) = (Notify::new(), Barrier::new(1));
    let (cell, once) = (OnceCell::new(), SetOnce::new());
    let allocated = allocations_of(|| {
        *at_once(mutex.lock()) += 1;
        assert_eq!((*at_once(rwlock.read()), *at_once(rwlock.read())), (1, 1));
        *at_once(rwlock.write()) += 1;
        drop((at_once(semaphore.acquire()), at_once(semaphore.acquire())));
        drop(at_once(semaphore.acquire_many(2)));
        notify.notify_one();
        at_once(notify.notified());
        assert!(at_once(barrier.wait()).is_leader());
        assert_eq!(at_once(cell.get_or_init(|| async { 7 })), &7);
        once.set(7).unwrap();
        assert_eq!(at_once(once.wait()), &7);
    });
    assert_eq!(allocated, 0);
}

#[test]
fn a_wait_allocates_only_at_the_first_time() {
    let (mutex, rwlock, semaphore) = (Mutex::new(()), RwLock::new(()), Semaphore::new(0));
    let (notify, barrier, once) = (Notify::new(), Barrier::new(2), SetOnce::<()>::new());
    let _held = (at_once(mutex.lock()), at_once(rwlock.read()));
    let wait_once = || {
        has_to_wait(mutex.lock());
        has_to_wait(rwlock.write());
        has_to_wait(semaphore.acquire());
        has_to_wait(notify.notified());
        has_to_wait(barrier.wait());
        has_to_wait(once.wait());
    };
    assert_eq!(allocations_of(wait_once), 6);
    assert_eq!(allocations_of(|| (0..100).for_each(|_| wait_once())), 0);
}

#[test]
fn the_memory_of_a_burst_of_waiters_is_given_back() {
    let count = rounds(100_000, 20_000, 500);
    let semaphore = Semaphore::new(0);
    let before = live_bytes();
    let mut all: Vec<_> = (0..count).map(|_| Box::pin(semaphore.acquire())).collect();
    for acquire in &mut all {
        assert!(acquire.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    semaphore.add_permits(count / 2);
    drop(all);
    assert_eq!(semaphore.available_permits(), count / 2);
    assert!(live_bytes() - before < 16_384, "{}", live_bytes() - before);
}
