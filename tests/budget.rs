//! Law: the budget holds for what a task polls with its own waker, and for nothing else. A `block_on` inside of a
//! poll waits for its own future alone; what runs outside of tasks has no task to yield for.
#![cfg(not(miri))] // Too many polls for an interpreter.

mod common;

use common::{Count, HOUR, OnDrop, run, until, watchdog, yield_times};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::AsyncFd;
use runtime::sync::{OnceCell, SetOnce};
use runtime::task::coop::{self, consume_budget, has_budget_remaining, poll_proceed};
use runtime::task::{JoinMap, JoinSet, TaskTracker, yield_now};
use runtime::{Builder, Handle, Runtime, spawn, time};
use std::future::{pending, poll_fn};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// This is more than any budget.
const MANY: usize = 1000;

async fn consume(units: usize) {
    for _ in 0..units {
        consume_budget().await;
    }
}

/// Spends the rest of the task's budget, in this poll.
fn spend_all() {
    let mut cx = Context::from_waker(Waker::noop());
    while has_budget_remaining() {
        assert!(pin!(consume_budget()).poll(&mut cx).is_ready());
    }
}

#[test]
fn a_block_on_inside_of_a_poll_comes_to_its_end() {
    run(async {
        let inside = || futures_lite::future::block_on(consume(MANY));
        inside();
        spawn(async move { inside() }).await.unwrap();
        Handle::current().spawn(async move { inside() }).await.unwrap();
        // The same with no budget left from the beginning.
        spawn(async move {
            spend_all();
            inside();
        })
        .await
        .unwrap();
    });
}

/// Timers, join handles and channels of this crate's, each ready at once.
#[test]
fn a_block_on_inside_of_a_poll_that_has_spent_its_budget_gets_what_is_ready() {
    run(async {
        let done: Vec<_> = (0..MANY).map(|_| spawn(async { 7 })).collect();
        until(|| done.iter().all(|task| task.is_finished())).await;
        let past = time::Instant::now() - Duration::from_secs(1);
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let reader = AsyncFd::new(reader).unwrap();
        writer.write_all(b"x").unwrap();
        drop(reader.readable().await.unwrap());
        let task = spawn(async move {
            spend_all();
            futures_lite::future::block_on(async {
                for task in done {
                    assert_eq!(task.await.unwrap(), 7);
                }
                for _ in 0..MANY {
                    time::sleep_until(past).await;
                    drop(reader.readable().await.unwrap());
                }
            });
        });
        task.await.unwrap();
    });
}

#[test]
fn a_block_on_in_a_drop_comes_to_its_end_when_the_budget_is_spent() {
    let ended = Count::default();
    let guard = || {
        let ended = ended.clone();
        OnDrop::new(move || {
            futures_lite::future::block_on(consume(MANY));
            ended.add();
        })
    };
    run(async {
        // The call is made in a poll; in the drop of an output, of a finished future, and of an aborted one.
        let held = guard();
        spawn(async move {
            spend_all();
            drop(held);
        })
        .await
        .unwrap();
        let (held, output) = (guard(), guard());
        drop(spawn(async move {
            let _held = held;
            spend_all();
            output
        }));
        yield_now().await;
        assert_eq!(ended.get(), 3);
        let held = guard();
        let task = spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        yield_now().await;
        spend_all();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(ended.get(), 4);
    });
}

/// A future that is polled with a waker of its own counts as another task, also within the task.
#[test]
fn a_future_polled_with_another_waker_does_not_wait_for_the_task() {
    run(async {
        spawn(async {
            spend_all();
            let (counting, waker) = common::CountingWaker::new();
            let mut cx = Context::from_waker(&waker);
            let interrupted = (0..MANY).filter(|_| pin!(consume_budget()).poll(&mut cx).is_pending()).count();
            assert!((1..=MANY / 128).contains(&interrupted), "{interrupted}");
            assert_eq!(counting.wakes(), interrupted, "it may go on at once");
            // An operation that spends no budget is not interrupted.
            assert!((0..MANY).all(|_| matches!(poll_proceed(&mut cx), Poll::Ready(_))));
            // Meanwhile the task's own poll is still put off, once, and woken.
            poll_fn(|cx| {
                assert!(pin!(consume_budget()).poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            yield_now().await;
            assert!(has_budget_remaining());
        })
        .await
        .unwrap();
    });
}

/// The future is polled with the waker of another task, which is of the same kind.
#[test]
fn a_waker_of_another_task_is_not_the_tasks_own() {
    run(async {
        let other = spawn(common::own_waker()).await.unwrap();
        spawn(async move {
            spend_all();
            let mut cx = Context::from_waker(&other);
            assert!((0..100).all(|_| pin!(consume_budget()).poll(&mut cx).is_ready()));
        })
        .await
        .unwrap();
    });
}

/// Groups of futures poll in this way. A future that is always ready gives the group its turn, and the group the
/// task.
#[test]
fn a_future_with_a_waker_of_its_own_does_not_keep_its_task_from_yielding() {
    struct Child(Waker);
    impl Wake for Child {
        fn wake(self: Arc<Self>) {
            self.0.wake_by_ref();
        }
    }
    run(async {
        let mut child = Box::pin(async {
            let (mut one, mut other) = runtime::net::UnixStream::pair().unwrap();
            loop {
                other.write_all(&[0; 64]).await.unwrap();
                one.read_exact(&mut [0; 64]).await.unwrap();
            }
        });
        let group = spawn(poll_fn(move |cx| -> Poll<()> {
            let waker = Waker::from(Arc::new(Child(cx.waker().clone())));
            child.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        time::sleep(Duration::from_millis(1)).await;
        group.abort();
    });
}

/// A task spends its budget, and then a hook runs in the same turn.
#[test]
fn hooks_have_no_budget() {
    let _watchdog = watchdog();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let look = |seen: &Arc<Mutex<Vec<bool>>>| {
        let seen = seen.clone();
        move || {
            seen.lock().unwrap().push(has_budget_remaining());
            futures_lite::future::block_on(consume(MANY));
            seen.lock().unwrap().push(has_budget_remaining());
        }
    };
    let runtime = Builder::new_current_thread()
        // A timer of a clock that goes may end before the loop sleeps.
        .start_paused(true)
        .on_thread_park(look(&seen))
        .on_thread_unpark(look(&seen))
        .build()
        .unwrap();
    for _ in 0..3 {
        runtime.block_on(async {
            drop(spawn(async {
                spend_all();
            }));
            let mut sleep = time::sleep(Duration::from_millis(1));
            poll_fn(|cx| {
                let polled = Pin::new(&mut sleep).poll(cx);
                spend_all();
                polled
            })
            .await;
        });
    }
    let seen = seen.lock().unwrap();
    assert!(seen.len() >= 4 * 3 && seen.iter().all(|has_budget| *has_budget), "{seen:?}");
}

/// A waker that records what it saw when it was woken, and whether it was dropped.
struct Looking(Mutex<Vec<bool>>);

impl Wake for Looking {
    fn wake(self: Arc<Self>) {
        futures_lite::future::block_on(consume(MANY));
        self.0.lock().unwrap().push(has_budget_remaining());
    }
}

/// Timers, sockets and join handles wake the foreign waker, each in another step of the turn.
#[test]
fn foreign_wakers_have_no_budget_when_the_loop_wakes_them() {
    run(async {
        let looking = Arc::new(Looking(Mutex::default()));
        let waker = Waker::from(looking.clone());
        let mut cx = Context::from_waker(&waker);
        let mut sleep = time::sleep(HOUR);
        assert!(Pin::new(&mut sleep).poll(&mut cx).is_pending());
        Pin::new(&mut sleep).reset(time::Instant::now());
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let reader = AsyncFd::new(reader).unwrap();
        assert!(reader.poll_read_ready(&mut cx).is_pending());
        writer.write_all(b"x").unwrap();
        poll_fn(|cx| {
            spend_all();
            if looking.0.lock().unwrap().len() == 2 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        assert_eq!(*looking.0.lock().unwrap(), [true, true]);
    });
}

/// The calls are made among tasks that have spent their budgets, and between two turns.
#[test]
fn calls_made_for_other_threads_have_no_budget() {
    run(async {
        let (tell, told) = channel();
        for _ in 0..20 {
            let tell = tell.clone();
            let task = spawn(async move {
                OnDrop::new(move || {
                    futures_lite::future::block_on(consume(MANY));
                    tell.send((has_budget_remaining(), runtime::task::try_id())).unwrap();
                })
            });
            until(|| task.is_finished()).await;
            let other = thread::spawn(move || drop(task));
            // The loop is busy, with polls that leave no budget.
            let seen = poll_fn(|cx| {
                spend_all();
                cx.waker().wake_by_ref();
                match told.try_recv() {
                    Ok(seen) => Poll::Ready(seen),
                    Err(_) => Poll::Pending,
                }
            })
            .await;
            assert_eq!(seen, (true, None));
            other.join().unwrap();
        }
    });
}

#[test]
fn drops_outside_of_tasks_have_no_budget() {
    let _watchdog = watchdog();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let guard = || {
        let seen = seen.clone();
        OnDrop::new(move || {
            futures_lite::future::block_on(consume(MANY));
            seen.lock().unwrap().push(has_budget_remaining());
        })
    };
    let runtime = Runtime::new().unwrap();
    let (held, output) = (guard(), guard());
    drop(runtime.spawn(async move {
        let _held = held;
        spend_all();
        pending::<()>().await;
    }));
    let done = runtime.spawn(async move { output });
    runtime.block_on(async {
        yield_times(2).await;
        spend_all();
    });
    assert!(has_budget_remaining(), "nor has the caller of block_on");
    drop(done);
    drop(runtime);
    assert!(has_budget_remaining());
    assert_eq!(*seen.lock().unwrap(), [true, true]);
}

/// The task has its own budget again after a future that was polled in between has used another one.
#[test]
fn a_task_keeps_its_budget_beside_others() {
    run(async {
        let steps = Count::default();
        let counted = steps.clone();
        drop(spawn(async move {
            loop {
                futures_lite::future::block_on(consume(3));
                consume_budget().await;
                counted.add();
            }
        }));
        drop(spawn(coop::unconstrained(consume(MANY))));
        yield_times(10).await;
        assert!((1..=10 * 256).contains(&steps.get()), "{} steps in ten turns", steps.get());
    });
}

/// A group of futures polls each of them with a waker of its own, and waits beside a future that is always ready. An
/// attempt of the group that fails must not give back budget that it has not taken.
#[test]
fn what_waits_by_another_waker_gives_the_task_no_budget() {
    run(async {
        spawn(async {
            spend_all();
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..MANY {
                assert!(pin!(coop::cooperative(pending::<()>())).poll(&mut cx).is_pending());
                assert!(!has_budget_remaining());
            }
            let (quiet, _other) = UnixStream::pair().unwrap();
            quiet.set_nonblocking(true).unwrap();
            let quiet = AsyncFd::new(quiet).unwrap();
            for _ in 0..MANY {
                let read = quiet.async_io(Interest::READABLE, |mut quiet| quiet.read(&mut [0; 8]));
                assert!(pin!(read).poll(&mut cx).is_pending());
                assert!(!has_budget_remaining());
            }
            yield_now().await;
            assert!(has_budget_remaining(), "for its next turn it has all again");
        })
        .await
        .unwrap();
    });
}

/// Repeats an operation that is always ready until another task has run.
async fn repeat_until_others_run(mut operation: impl AsyncFnMut()) {
    let has_run = Count::default();
    let ran = has_run.clone();
    drop(spawn(async move { ran.add() }));
    let mut rounds = 0;
    while has_run.get() == 0 {
        operation().await;
        rounds += 1;
        assert!(rounds < MANY, "the operation keeps others from running");
    }
}

#[test]
fn what_is_over_already_does_not_keep_others_from_running() {
    let _watchdog = watchdog();
    run(async {
        let cell = OnceCell::const_new_with(1);
        repeat_until_others_run(async || _ = cell.get_or_init(async || 2).await).await;
        let once = SetOnce::const_new_with(1);
        repeat_until_others_run(async || _ = once.wait().await).await;
        let once = SetOnce::new();
        once.set(1).unwrap();
        repeat_until_others_run(async || _ = once.wait().await).await;
        let tracker = TaskTracker::new();
        tracker.close();
        repeat_until_others_run(async || tracker.wait().await).await;
        let mut set = JoinSet::<()>::new();
        repeat_until_others_run(async || assert!(set.join_next().await.is_none())).await;
        let mut map = JoinMap::<u32, ()>::new();
        repeat_until_others_run(async || assert!(map.join_next().await.is_none())).await;
    });
}
