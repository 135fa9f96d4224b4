//! `TaskTracker`, and handles that abort their task when they are dropped.

mod common;

use common::{Count, CountOnDrop, CountingWaker, run, watchdog};
use runtime::task::{AbortOnDrop, AbortOnDropHandle, LocalSet, TaskTracker, yield_now};
use runtime::{Handle, Runtime};
use std::future::{pending, ready};
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::Context;

#[test]
fn a_wait_ends_when_the_tracker_is_closed_and_empty() {
    run(async {
        let tracker = TaskTracker::new();
        let (counting, waker) = CountingWaker::new();
        let mut cx = Context::from_waker(&waker);
        let mut wait = pin!(tracker.wait());
        assert!(wait.as_mut().poll(&mut cx).is_pending(), "empty, but open");
        let token = tracker.token();
        let second = token.clone();
        assert!(TaskTracker::ptr_eq(second.task_tracker(), &tracker));
        assert!(tracker.close() && !tracker.close() && tracker.is_closed());
        assert_eq!((tracker.len(), tracker.is_empty()), (2, false));
        drop(token);
        assert!(wait.as_mut().poll(&mut cx).is_pending() && counting.wakes() == 0);
        drop(second);
        assert_eq!(counting.wakes(), 1);
        assert!(wait.as_mut().poll(&mut cx).is_ready());
        assert!(wait.as_mut().poll(&mut cx).is_ready(), "it stays ready");
        tracker.wait().await;
        assert!(tracker.reopen() && !tracker.reopen());
    });
}

#[test]
fn a_wait_sees_an_exit_that_is_over_when_it_is_polled() {
    run(async {
        let tracker = TaskTracker::new();
        let before = tracker.wait();
        tracker.close();
        tracker.reopen();
        let mut after = pin!(tracker.wait());
        let _token = tracker.token();
        before.await;
        let (_, waker) = CountingWaker::new();
        assert!(after.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    });
}

#[test]
fn a_wait_that_is_dropped_is_not_woken_and_the_latest_waker_of_another_is() {
    run(async {
        let tracker = TaskTracker::new();
        let wakers: [_; 3] = std::array::from_fn(|_| CountingWaker::new());
        let mut dropped = Box::pin(tracker.wait());
        let mut kept = Box::pin(tracker.wait());
        assert!(dropped.as_mut().poll(&mut Context::from_waker(&wakers[0].1)).is_pending());
        assert!(kept.as_mut().poll(&mut Context::from_waker(&wakers[1].1)).is_pending());
        assert!(kept.as_mut().poll(&mut Context::from_waker(&wakers[2].1)).is_pending());
        drop(dropped);
        tracker.close();
        assert_eq!(wakers.each_ref().map(|(counting, _)| counting.wakes()), [0, 0, 1]);
    });
}

#[test]
fn every_kind_of_task_is_tracked_until_its_future_is_dropped() {
    let _watchdog = watchdog();
    let runtime = Runtime::new().unwrap();
    let local = LocalSet::new();
    runtime.block_on(local.run_until(async {
        let tracker = TaskTracker::new();
        let [(release, released), (release_other, other_released)] = [(); 2].map(|()| mpsc::channel::<()>());
        tracker.spawn(async { 1 });
        tracker.spawn_local(async { 2 });
        tracker.spawn_local_on(async { 3 }, &local);
        tracker.spawn_on(async { 4 }, &Handle::current());
        tracker.spawn_blocking(move || _ = released.recv());
        tracker.spawn_blocking_on(move || _ = other_released.recv(), &Handle::current());
        let aborted = tracker.spawn(pending::<()>());
        drop(tracker.spawn(async { panic!("expected") }));
        assert_eq!(tracker.len(), 8);
        aborted.abort();
        drop((release, release_other));
        tracker.close();
        tracker.wait().await;
        assert!(tracker.is_empty());
    }));
}

#[test]
fn a_tracked_future_is_dropped_before_its_token() {
    let tracker = TaskTracker::new();
    let seen = Count::default();
    let guard = common::OnDrop::new({
        let (tracker, seen) = (tracker.clone(), seen.clone());
        move || (0..tracker.len()).for_each(|_| _ = seen.add())
    });
    drop(tracker.track_future(async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    assert_eq!((seen.get(), tracker.len()), (1, 0));
}

#[test]
fn a_dropped_handle_aborts_its_task_and_a_detached_one_does_not() {
    run(async {
        let dropped = Count::default();
        let waits = || {
            let guard = CountOnDrop(dropped.clone());
            async move {
                let _guard = guard;
                pending::<()>().await;
            }
        };
        drop(AbortOnDropHandle::new(runtime::spawn(waits())));
        drop(AbortOnDrop::new(runtime::spawn(waits()).abort_handle()));
        yield_now().await;
        assert_eq!(dropped.get(), 2);
        let task = AbortOnDropHandle::new(runtime::spawn(waits())).detach();
        let abort = AbortOnDrop::new(runtime::spawn(waits()).abort_handle()).detach();
        yield_now().await;
        assert!(!task.is_finished() && !abort.is_finished() && dropped.get() == 2);
        task.abort();
        abort.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(dropped.get(), 4);
    });
}

#[test]
fn an_aborting_handle_gives_the_output_and_keeps_the_id() {
    run(async {
        let task = runtime::spawn(ready(7));
        let id = task.id();
        let mut task = AbortOnDropHandle::new(task);
        assert_eq!((task.as_ref().id(), task.abort_handle().id()), (id, id));
        assert_eq!(Pin::new(&mut task).await.unwrap(), 7);
        assert!(task.is_finished());
        let remote = AbortOnDropHandle::new(Handle::current().spawn(ready(8)));
        assert_eq!(remote.detach().await.unwrap(), 8);
    });
}
