//! The locks of `sync` in thread-locals: what is kept there when a thread or the process ends is dropped silently.
#![cfg(not(miri))] // Processes.
#![allow(clippy::arc_with_non_send_sync, reason = "owned guards take an `Arc`, as tokio's do")]

mod common;

use common::process::{exit_of_child, in_child};
use runtime::sync::{Barrier, Mutex, Notify, RwLock, Semaphore, SetOnce};
use std::any::Any;
use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Waker};

/// The waiting futures, and the guards that they wait for.
type Kept = (Vec<Pin<Box<dyn Future<Output = ()>>>>, Vec<Box<dyn Any>>);

thread_local! {
    static SEMAPHORE: Semaphore = const { Semaphore::const_new(1) };
    static LOCK: RwLock<String> = const { RwLock::const_new(String::new()) };
    static KEPT: RefCell<Kept> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Uses every type when it is dropped.
struct UseOnDrop;

impl Drop for UseOnDrop {
    fn drop(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let (mutex, notify, barrier) = (Mutex::new(1), Notify::new(), Barrier::new(2));
        let mut waits = pin!(barrier.wait());
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        assert!(pin!(barrier.wait()).poll(&mut cx).is_ready());
        assert!(pin!(mutex.lock()).poll(&mut cx).is_ready());
        notify.notify_one();
        assert!(pin!(notify.notified()).poll(&mut cx).is_ready());
    }
}

/// Leaves waiters and guards in thread-locals, some made before and some after those of the library.
fn keep() {
    KEPT.with_borrow_mut(|_| {});
    runtime::block_on(async {
        let semaphore = Arc::new(Semaphore::new(1));
        let (mutex, rwlock) = (Arc::new(Mutex::new(UseOnDrop)), Arc::new(RwLock::new(UseOnDrop)));
        let (notify, once) = (Arc::new(Notify::new()), Arc::new(SetOnce::<u8>::new()));
        let guards: Vec<Box<dyn Any>> = vec![
            Box::new(semaphore.clone().acquire_owned().await.unwrap()),
            Box::new(mutex.clone().lock_owned().await),
            Box::new(rwlock.clone().write_owned().await),
        ];
        let mut waiting: Vec<Pin<Box<dyn Future<Output = ()>>>> = vec![
            Box::pin(async move { drop(semaphore.acquire().await) }),
            Box::pin(async move { drop(mutex.lock().await) }),
            Box::pin(async move { drop(rwlock.read().await) }),
            Box::pin(notify.notified_owned()),
            Box::pin(async move { _ = once.wait().await }),
        ];
        // With a waker of the runtime, which is gone when they are dropped.
        std::future::poll_fn(|cx| {
            assert!(waiting.iter_mut().all(|wait| wait.as_mut().poll(cx).is_pending()));
            std::task::Poll::Ready(())
        })
        .await;
        KEPT.with_borrow_mut(|kept| *kept = (waiting, guards));
    });
    SEMAPHORE.with(|semaphore| semaphore.try_acquire().unwrap().forget());
    LOCK.with(|lock| lock.try_write().unwrap().push('x'));
}

#[test]
fn what_a_thread_keeps_ends_with_it() {
    in_child(|| std::thread::spawn(keep).join().unwrap());
}

#[test]
fn what_a_thread_keeps_ends_with_the_process() {
    let exit = exit_of_child(|| {
        keep();
        std::process::exit(7)
    });
    assert_eq!(exit.code(), Some(7));
}
