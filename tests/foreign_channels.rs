//! The channels of async-channel and flume on this runtime, with another thread at the far end.
//!
//! They know no runtime: each of them wakes through the `Waker` of the task that waits, from the thread at the other end.
//! `foreign_sync.rs` has the channels and locks of tokio.

mod common;

use common::run;
use runtime::task::yield_now;
use runtime::{Runtime, spawn};
use std::collections::HashSet;
use std::thread;

const MESSAGES: u32 = 1000;

/// The tests of one crate, which are given its names of the functions.
macro_rules! tests {
    ($module:ident, $bounded:path, $send:ident, $send_blocking:ident, $recv:ident, $recv_blocking:ident) => {
        mod $module {
            use super::*;

            #[test]
            fn messages_of_a_thread_arrive_in_order_and_the_end_after_them() {
                run(async {
                    let (sender, receiver) = $bounded(2);
                    let sending = thread::spawn(move || {
                        for number in 0..MESSAGES {
                            sender.$send_blocking(number).unwrap();
                        }
                    });
                    let mut expected = 0;
                    while let Ok(number) = receiver.$recv().await {
                        assert_eq!(number, expected);
                        expected += 1;
                    }
                    assert_eq!(expected, MESSAGES);
                    sending.join().unwrap();
                });
            }

            #[test]
            fn a_task_that_sends_waits_for_a_thread_that_receives() {
                run(async {
                    let (sender, receiver) = $bounded(1);
                    let receiving = thread::spawn(move || {
                        let mut sum = 0;
                        while let Ok(number) = receiver.$recv_blocking() {
                            sum += number;
                        }
                        sum
                    });
                    let sending = spawn(async move {
                        for number in 0..MESSAGES {
                            sender.$send(number).await.unwrap();
                        }
                    });
                    sending.await.unwrap();
                    assert_eq!(receiving.join().unwrap(), (0..MESSAGES).sum());
                });
            }

            #[test]
            fn requests_and_answers_pass_between_a_task_and_a_thread() {
                run(async {
                    let (requests, requested) = $bounded(1);
                    let (answers, answered) = $bounded(1);
                    let answering = thread::spawn(move || {
                        while let Ok(number) = requested.$recv_blocking() {
                            answers.$send_blocking(number * 2).unwrap();
                        }
                    });
                    for number in 0..MESSAGES {
                        requests.$send(number).await.unwrap();
                        assert_eq!(answered.$recv().await.unwrap(), number * 2);
                    }
                    drop(requests);
                    answering.join().unwrap();
                    assert!(answered.$recv().await.is_err());
                });
            }

            #[test]
            fn many_tasks_share_the_messages_of_many_threads() {
                run(async {
                    let (sender, receiver) = $bounded(3);
                    let threads: Vec<_> = (0..4)
                        .map(|part| {
                            let sender = sender.clone();
                            thread::spawn(move || {
                                for number in 0..MESSAGES / 4 {
                                    sender.$send_blocking(part * MESSAGES / 4 + number).unwrap();
                                }
                            })
                        })
                        .collect();
                    drop(sender);
                    let tasks: Vec<_> = (0..8)
                        .map(|_| {
                            let receiver = receiver.clone();
                            spawn(async move {
                                let mut received = Vec::new();
                                while let Ok(number) = receiver.$recv().await {
                                    received.push(number);
                                }
                                received
                            })
                        })
                        .collect();
                    let mut all = Vec::new();
                    for task in tasks {
                        all.extend(task.await.unwrap());
                    }
                    threads.into_iter().for_each(|thread| thread.join().unwrap());
                    assert_eq!(all.len() as u32, MESSAGES);
                    assert_eq!(all.into_iter().collect::<HashSet<_>>(), (0..MESSAGES).collect());
                });
            }

            #[test]
            fn two_runtimes_on_two_threads_await_each_other() {
                run(async {
                    let (there, arrived) = $bounded(1);
                    let (back, returned) = $bounded(1);
                    let other = thread::spawn(move || {
                        Runtime::new().unwrap().block_on(async move {
                            while let Ok(number) = arrived.$recv().await {
                                back.$send(number + 1).await.unwrap();
                            }
                        });
                    });
                    let mut number = 0;
                    while number < MESSAGES {
                        there.$send(number).await.unwrap();
                        number = returned.$recv().await.unwrap();
                    }
                    drop(there);
                    other.join().unwrap();
                });
            }

            #[test]
            fn a_message_for_a_task_that_was_aborted_reaches_another() {
                run(async {
                    let (sender, receiver) = $bounded(1);
                    let tasks: Vec<_> = (0..2)
                        .map(|_| {
                            let receiver = receiver.clone();
                            spawn(async move { receiver.$recv().await })
                        })
                        .collect();
                    yield_now().await;
                    // The first of the tasks that wait is woken, and is aborted before its turn.
                    thread::spawn(move || sender.$send_blocking(7).unwrap()).join().unwrap();
                    let [first, second] = <[_; 2]>::try_from(tasks).unwrap();
                    first.abort();
                    assert!(first.await.unwrap_err().is_cancelled());
                    assert_eq!(second.await.unwrap().unwrap(), 7);
                });
            }
        }
    };
}

tests!(with_async_channel, async_channel::bounded, send, send_blocking, recv, recv_blocking);
tests!(with_flume, flume::bounded, send_async, send, recv_async, recv);
