//! Channels and locks of `tokio::sync` on this runtime, also with another thread at the other end.

mod common;

use common::run;
use runtime::spawn;
use std::sync::Arc;
use std::thread;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};

#[test]
fn a_bounded_channel_from_another_thread_delivers_everything_in_order() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(2);
        let sending =
            thread::spawn(move || (0..1000).for_each(|number| sender.blocking_send(number).unwrap()));
        let mut expected = 0;
        while let Some(number) = receiver.recv().await {
            assert_eq!(number, expected);
            expected += 1;
        }
        assert_eq!(expected, 1000);
        sending.join().unwrap();
    });
}

#[test]
fn a_oneshot_channel_wakes_a_task_from_another_thread() {
    run(async {
        let (sender, receiver) = oneshot::channel();
        let waiting = spawn(receiver);
        thread::spawn(move || sender.send(7).unwrap());
        assert_eq!(waiting.await.unwrap(), Ok(7));
    });
}

#[test]
fn a_lock_and_a_notification_are_passed_between_tasks() {
    run(async {
        let (count, done) = (Arc::new(Mutex::new(0)), Arc::new(Notify::new()));
        let held = count.lock().await;
        for _ in 0..10 {
            let (count, done) = (count.clone(), done.clone());
            drop(spawn(async move {
                let mut count = count.lock().await;
                *count += 1;
                if *count == 10 {
                    done.notify_one();
                }
            }));
        }
        runtime::task::yield_now().await;
        assert_eq!(*held, 0, "the tasks wait for the lock");
        drop(held);
        done.notified().await;
        assert_eq!(*count.lock().await, 10);
    });
}
