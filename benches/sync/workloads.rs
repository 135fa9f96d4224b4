//! The workloads: the same source for ours and for tokio, in two modules.
//!
//! A macro and not a trait, because what is measured are types with the same names and methods in two
//! crates. Each workload is an `async fn` that does a given number of operations.
//!
//! "100 waiters" means that 100 tasks wait at the same thing, so that each operation wakes one of them or
//! all of them.

use std::rc::Rc;
use std::sync::Arc;

/// The tasks that wait.
pub(crate) const WAITERS: usize = 100;

/// The tasks of a `JoinSet`.
pub(crate) const SET: usize = 1000;

macro_rules! workloads {
    ($module:ident, $rt:ident, $shared:ident) => {
        pub(crate) mod $module {
            use super::{SET, WAITERS, $shared as Shared};
            use $rt::sync::{Mutex, Notify, Semaphore, broadcast, mpsc, oneshot, watch};
            use $rt::task::{JoinSet, yield_now};
            use std::hint::black_box;

            /// Spawns `WAITERS` tasks, and waits for all of them.
            macro_rules! in_tasks {
                ($index:ident => $task:expr) => {
                    let tasks: Vec<_> = (0..WAITERS).map(|$index| $rt::spawn($task)).collect();
                    for task in tasks {
                        task.await.expect("a task of the workload");
                    }
                };
            }

            /// Sends a message and receives it, in one task.
            pub(crate) async fn mpsc_alone(times: usize) {
                let (sender, mut receiver) = mpsc::channel(16);
                for i in 0..times {
                    sender.send(i).await.unwrap();
                    assert_eq!(receiver.recv().await, Some(i));
                }
            }

            pub(crate) async fn mpsc_unbounded_alone(times: usize) {
                let (sender, mut receiver) = mpsc::unbounded_channel();
                for i in 0..times {
                    sender.send(i).unwrap();
                    assert_eq!(receiver.recv().await, Some(i));
                }
            }

            /// One task sends, another receives.
            pub(crate) async fn mpsc_two_tasks(times: usize) {
                let (sender, mut receiver) = mpsc::channel(64);
                let task = $rt::spawn(async move {
                    for i in 0..times {
                        sender.send(i).await.unwrap();
                    }
                });
                for i in 0..times {
                    assert_eq!(receiver.recv().await, Some(i));
                }
                task.await.unwrap();
            }

            /// Many tasks wait for room for one message.
            pub(crate) async fn mpsc_waiters(times: usize) {
                let (sender, mut receiver) = mpsc::channel(1);
                let tasks: Vec<_> = (0..WAITERS)
                    .map(|_| {
                        let sender = sender.clone();
                        $rt::spawn(async move {
                            for i in 0..times / WAITERS {
                                sender.send(i).await.unwrap();
                            }
                        })
                    })
                    .collect();
                drop(sender);
                let mut count = 0;
                while receiver.recv().await.is_some() {
                    count += 1;
                }
                assert_eq!(count, times / WAITERS * WAITERS);
                for task in tasks {
                    task.await.unwrap();
                }
            }

            /// Makes a channel, sends and receives, in one task.
            pub(crate) async fn oneshot_alone(times: usize) {
                for i in 0..times {
                    let (sender, receiver) = oneshot::channel();
                    sender.send(i).unwrap();
                    assert_eq!(receiver.await, Ok(i));
                }
            }

            /// Tasks wait for an answer each.
            pub(crate) async fn oneshot_waiters(times: usize) {
                for _ in 0..times / WAITERS {
                    let (senders, receivers): (Vec<_>, Vec<_>) =
                        (0..WAITERS).map(|_| oneshot::channel::<usize>()).unzip();
                    let tasks: Vec<_> = receivers.into_iter().map($rt::spawn).collect();
                    yield_now().await;
                    for (i, sender) in senders.into_iter().enumerate() {
                        sender.send(i).unwrap();
                    }
                    for (i, task) in tasks.into_iter().enumerate() {
                        assert_eq!(task.await.unwrap(), Ok(i));
                    }
                }
            }

            pub(crate) async fn watch_alone(times: usize) {
                let (sender, mut receiver) = watch::channel(0);
                for i in 0..times {
                    sender.send(i).unwrap();
                    receiver.changed().await.unwrap();
                    assert_eq!(*receiver.borrow_and_update(), i);
                }
            }

            /// Many tasks see each value.
            pub(crate) async fn watch_waiters(times: usize) {
                let (sender, receiver) = watch::channel(0);
                let tasks: Vec<_> = (0..WAITERS)
                    .map(|_| {
                        let mut receiver = receiver.clone();
                        $rt::spawn(async move {
                            while receiver.changed().await.is_ok() {
                                black_box(*receiver.borrow_and_update());
                            }
                        })
                    })
                    .collect();
                drop(receiver);
                for i in 0..times / WAITERS {
                    yield_now().await;
                    sender.send(i).unwrap();
                }
                drop(sender);
                for task in tasks {
                    task.await.unwrap();
                }
            }

            pub(crate) async fn broadcast_alone(times: usize) {
                let (sender, mut receiver) = broadcast::channel(16);
                for i in 0..times {
                    sender.send(i).unwrap();
                    assert_eq!(receiver.recv().await, Ok(i));
                }
            }

            /// Many tasks receive each value.
            pub(crate) async fn broadcast_waiters(times: usize) {
                let (sender, receiver) = broadcast::channel(16);
                let tasks: Vec<_> = (0..WAITERS)
                    .map(|_| {
                        let mut receiver = receiver.resubscribe();
                        $rt::spawn(async move {
                            while let Ok(value) = receiver.recv().await {
                                black_box::<usize>(value);
                            }
                        })
                    })
                    .collect();
                drop(receiver);
                for i in 0..times / WAITERS {
                    yield_now().await;
                    sender.send(i).unwrap();
                }
                drop(sender);
                for task in tasks {
                    task.await.unwrap();
                }
            }

            pub(crate) async fn semaphore_alone(times: usize) {
                let semaphore = Semaphore::new(1);
                for _ in 0..times {
                    drop(black_box(semaphore.acquire().await.unwrap()));
                }
            }

            /// Tasks hold the one permit for a turn each.
            pub(crate) async fn semaphore_waiters(times: usize) {
                let semaphore = Shared::new(Semaphore::new(1));
                in_tasks!(_index => {
                    let semaphore = semaphore.clone();
                    async move {
                        for _ in 0..times / WAITERS {
                            let _permit = semaphore.acquire().await.unwrap();
                            yield_now().await;
                        }
                    }
                });
            }

            pub(crate) async fn mutex_alone(times: usize) {
                let mutex = Mutex::new(0);
                for _ in 0..times {
                    *mutex.lock().await += 1;
                }
                assert_eq!(mutex.into_inner(), times);
            }

            /// Tasks hold the lock for a turn each.
            pub(crate) async fn mutex_waiters(times: usize) {
                let mutex = Shared::new(Mutex::new(0));
                in_tasks!(_index => {
                    let mutex = mutex.clone();
                    async move {
                        for _ in 0..times / WAITERS {
                            let mut guard = mutex.lock().await;
                            yield_now().await;
                            *guard += 1;
                        }
                    }
                });
                assert_eq!(*mutex.lock().await, times / WAITERS * WAITERS);
            }

            pub(crate) async fn notify_alone(times: usize) {
                let notify = Notify::new();
                for _ in 0..times {
                    notify.notify_one();
                    notify.notified().await;
                }
            }

            /// `notify_waiters` wakes all tasks.
            pub(crate) async fn notify_waiters(times: usize) {
                let notify = Shared::new(Notify::new());
                let tasks: Vec<_> = (0..WAITERS)
                    .map(|_| {
                        let notify = notify.clone();
                        $rt::spawn(async move {
                            for _ in 0..times / WAITERS {
                                notify.notified().await;
                            }
                        })
                    })
                    .collect();
                // Until the tasks have ended, and have dropped their pointers.
                while Shared::strong_count(&notify) > 1 {
                    yield_now().await;
                    notify.notify_waiters();
                }
                for task in tasks {
                    task.await.unwrap();
                }
            }

            /// A choice between a channel with a message and one without.
            pub(crate) async fn select_of_two(times: usize) {
                let (sender, mut receiver) = mpsc::channel(16);
                let (_other_sender, mut other) = mpsc::channel::<usize>(16);
                for i in 0..times {
                    sender.try_send(i).unwrap();
                    $rt::select! {
                        message = receiver.recv() => assert_eq!(message, Some(i)),
                        message = other.recv() => panic!("{message:?}"),
                    }
                }
            }

            /// Spawns `SET` tasks in a set and joins them all.
            pub(crate) async fn join_set(times: usize) {
                for _ in 0..times / SET {
                    let mut set = JoinSet::new();
                    for i in 0..SET {
                        set.spawn(async move { i });
                    }
                    let mut sum = 0;
                    while let Some(output) = set.join_next().await {
                        sum += output.unwrap();
                    }
                    assert_eq!(sum, SET * (SET - 1) / 2);
                }
            }
        }
    };
}

workloads!(ours, runtime, Rc);
workloads!(tokios, tokio, Arc);
