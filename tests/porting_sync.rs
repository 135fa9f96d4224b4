//! Channels as programs use them that are written for tokio's `sync`, and one line that makes them ours:
//! `extern crate runtime as tokio`.
//!
//! Each is written the way tokio's documentation shows it, against its names and signatures alone.

extern crate runtime as tokio;

use tokio::sync::mpsc::error::{TryRecvError, TrySendError};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{self, Duration, Instant};

enum Command {
    Increment { by: u64, resp: oneshot::Sender<u64> },
}

#[tokio::test]
async fn a_task_that_owns_a_resource_answers_requests() {
    let (cmd_tx, mut cmd_rx) = mpsc::channel::<Command>(100);
    let owner = tokio::spawn(async move {
        let mut counter: u64 = 0;
        while let Some(Command::Increment { by, resp }) = cmd_rx.recv().await {
            let prev = counter;
            counter += by;
            resp.send(prev).unwrap();
        }
        counter
    });
    let mut join_handles = vec![];
    for by in 1..=10 {
        let cmd_tx = cmd_tx.clone();
        join_handles.push(tokio::spawn(async move {
            let (resp, resp_rx) = oneshot::channel();
            cmd_tx.send(Command::Increment { by, resp }).await.ok().unwrap();
            resp_rx.await.unwrap()
        }));
    }
    drop(cmd_tx);
    let mut sum = 0;
    for join_handle in join_handles.drain(..) {
        sum += join_handle.await.unwrap();
    }
    assert_eq!((sum, owner.await.unwrap()), (165, 55));
}

#[tokio::test(start_paused = true)]
async fn a_task_reads_its_configuration_anew() {
    #[derive(Debug, Clone, PartialEq)]
    struct Config {
        timeout: Duration,
    }
    let (tx, mut rx) = watch::channel(Config { timeout: Duration::from_secs(1) });
    let op = tokio::spawn(async move {
        let op_start = Instant::now();
        let mut conf = rx.borrow_and_update().clone();
        loop {
            let sleep = time::sleep_until(op_start + conf.timeout);
            if time::timeout(conf.timeout, rx.changed()).await.is_err() {
                sleep.await;
                return op_start.elapsed();
            }
            conf = rx.borrow_and_update().clone();
        }
    });
    time::sleep(Duration::from_millis(500)).await;
    tx.send(Config { timeout: Duration::from_secs(2) }).unwrap();
    assert!(op.await.unwrap() >= Duration::from_secs(2));
    assert!(tx.is_closed());
}

#[tokio::test]
async fn a_shutdown_is_broadcast_and_waited_for() {
    let (notify_shutdown, _) = broadcast::channel::<()>(1);
    let (shutdown_complete_tx, mut shutdown_complete_rx) = mpsc::channel::<()>(1);
    for _ in 0..5 {
        let mut shutdown = notify_shutdown.subscribe();
        let complete = shutdown_complete_tx.clone();
        tokio::spawn(async move {
            let _complete = complete;
            let _ = shutdown.recv().await;
        });
    }
    drop(notify_shutdown);
    drop(shutdown_complete_tx);
    assert_eq!(shutdown_complete_rx.recv().await, None);
}

#[tokio::test]
async fn permits_and_errors_are_those_of_tokio() {
    let (tx, mut rx) = mpsc::channel(2);
    let permit = tx.reserve().await.unwrap();
    tx.try_send(1).unwrap();
    match tx.try_send(2) {
        Err(TrySendError::Full(value)) => assert_eq!(value, 2),
        other => panic!("{other:?}"),
    }
    permit.send(3);
    let mut buffer = Vec::with_capacity(4);
    assert_eq!(rx.recv_many(&mut buffer, 4).await, 2);
    assert_eq!(buffer, [1, 3]);
    let permit = tx.clone().reserve_owned().await.unwrap();
    let tx: mpsc::Sender<u8> = permit.send(4);
    drop(tx);
    assert_eq!(rx.try_recv(), Ok(4));
    rx.close();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
}
