//! Programs that run jobs, as they are written for tokio, and one line that makes them run on this crate: a `JoinSet` with
//! a semaphore, a `TaskTracker` with a `CancellationToken`, and workers that a `watch` channel configures.
//!
//! `CancellationToken` and `TaskTracker` are those of tokio-util. Here they are in `sync` and `task`.

#![allow(clippy::arc_with_non_send_sync, reason = "with tokio, these types are shared between threads")]

mod common;

extern crate runtime as tokio;

use common::watchdog;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::sync::{
    Barrier, CancellationToken, Mutex, Notify, OnceCell, OwnedSemaphorePermit, RwLock, Semaphore, mpsc,
    oneshot, watch,
};
use tokio::task::{AbortOnDropHandle, JoinSet, TaskTracker};
use tokio::time::{self, Duration, Instant};

#[derive(Debug)]
enum Failure {
    Odd(u32),
}

async fn job(number: u32, running: Arc<AtomicUsize>, most: Arc<AtomicUsize>) -> Result<u32, Failure> {
    most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
    time::sleep(Duration::from_millis(u64::from(number) * 10)).await;
    running.fetch_sub(1, SeqCst);
    match number {
        7 => panic!("job 7 has a bug"),
        9 => Err(Failure::Odd(number)),
        _ => Ok(number * number),
    }
}

#[tokio::test(start_paused = true)]
async fn a_semaphore_limits_the_jobs_of_a_set() {
    let _watchdog = watchdog();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let semaphore = Arc::new(Semaphore::new(3));
    let mut jobs = JoinSet::new();
    for number in 0..12 {
        let permit: OwnedSemaphorePermit = semaphore.clone().acquire_owned().await.unwrap();
        let (running, most) = (running.clone(), most.clone());
        jobs.spawn(async move {
            let _permit = permit;
            job(number, running, most).await
        });
    }
    let (mut sum, mut failures, mut panics) = (0, Vec::new(), 0);
    while let Some(result) = jobs.join_next().await {
        match result {
            Ok(Ok(square)) => sum += square,
            Ok(Err(Failure::Odd(number))) => failures.push(number),
            Err(error) if error.is_panic() => panics += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(sum, (0..12).filter(|n| ![7, 9].contains(n)).map(|n| n * n).sum());
    assert_eq!((failures, panics, most.load(SeqCst)), (vec![9], 1, 3));
    assert_eq!(semaphore.available_permits(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_first_error_aborts_the_rest() {
    let _watchdog = watchdog();
    let mut jobs = JoinSet::new();
    for number in 0..10u32 {
        jobs.spawn(async move {
            time::sleep(Duration::from_secs(number.into())).await;
            if number == 4 { Err("four") } else { Ok(number) }
        });
    }
    let mut finished = Vec::new();
    let error = loop {
        match jobs.join_next().await.unwrap().unwrap() {
            Ok(number) => finished.push(number),
            Err(error) => break error,
        }
    };
    jobs.shutdown().await;
    assert_eq!((error, finished, jobs.len()), ("four", vec![0, 1, 2, 3], 0));
}

struct Runner {
    tracker: TaskTracker,
    token: CancellationToken,
    tx: mpsc::UnboundedSender<(u32, &'static str)>,
}

impl Runner {
    fn start(&self, number: u32, length: Duration) {
        let (token, tx) = (self.token.child_token(), self.tx.clone());
        self.tracker.spawn(async move {
            let end = tokio::select! {
                biased;
                () = token.cancelled() => {
                    time::sleep(Duration::from_millis(5)).await;
                    "cleaned up"
                }
                () = time::sleep(length) => "done",
            };
            tx.send((number, end)).unwrap();
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_cancels_the_jobs_and_waits_for_their_cleanup() {
    let _watchdog = watchdog();
    let (tx, mut rx) = mpsc::unbounded_channel();
    let runner = Runner { tracker: TaskTracker::new(), token: CancellationToken::new(), tx };
    for number in 1..=4 {
        runner.start(number, Duration::from_secs(number.into()));
    }
    let stop = runner.token.clone();
    tokio::spawn(async move {
        time::sleep(Duration::from_millis(2500)).await;
        stop.cancel();
    });
    runner.token.cancelled().await;
    runner.tracker.close();
    let clean = time::timeout(Duration::from_secs(1), runner.tracker.wait()).await;
    assert!(clean.is_ok() && runner.tracker.is_empty());
    drop(runner);
    let mut ends = BTreeMap::new();
    while let Some((number, end)) = rx.recv().await {
        ends.insert(number, end);
    }
    assert_eq!(ends, BTreeMap::from([(1, "done"), (2, "done"), (3, "cleaned up"), (4, "cleaned up")]));
}

#[derive(Clone, Debug, PartialEq)]
struct Config {
    period: Duration,
    paused: bool,
}

/// Ticks as its configuration says, until the sender of the configuration is dropped.
async fn worker(mut config: watch::Receiver<Config>, ticks: mpsc::Sender<Duration>) {
    let started = Instant::now();
    let mut interval = time::interval(config.borrow().period);
    loop {
        let paused = config.borrow().paused;
        tokio::select! {
            biased;
            changed = config.changed() => {
                if changed.is_err() {
                    return;
                }
                let period = config.borrow_and_update().period;
                interval = time::interval_at(Instant::now() + period, period);
            }
            now = interval.tick(), if !paused => ticks.send(now - started).await.unwrap(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_follows_its_configuration() {
    let _watchdog = watchdog();
    let (config, receiver) = watch::channel(Config { period: Duration::from_millis(100), paused: false });
    let (tx, mut rx) = mpsc::channel(100);
    let mut observer = config.subscribe();
    let working = tokio::spawn(worker(receiver, tx));
    time::sleep(Duration::from_millis(250)).await;
    config.send(Config { period: Duration::from_millis(20), paused: false }).unwrap();
    time::sleep(Duration::from_millis(50)).await;
    config.send_modify(|config| config.paused = true);
    time::sleep(Duration::from_millis(100)).await;
    assert!(!config.send_if_modified(|_| false));
    assert!(observer.has_changed().unwrap());
    assert!(observer.wait_for(|config| config.paused).await.unwrap().paused);
    drop(config);
    working.await.unwrap();
    assert!(observer.changed().await.is_err());
    let mut ticks = Vec::new();
    while let Some(tick) = rx.recv().await {
        ticks.push(tick.as_millis());
    }
    assert_eq!(ticks, [0, 100, 200, 270, 290]);
}

enum Command {
    Get { key: String, resp: oneshot::Sender<Option<u64>> },
    Add { key: String, value: u64, resp: oneshot::Sender<u64> },
}

#[tokio::test]
async fn a_manager_task_answers_by_oneshot_channels() {
    let _watchdog = watchdog();
    let (tx, mut rx) = mpsc::channel(2);
    let tx2 = tx.clone();
    let manager = tokio::spawn(async move {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        while let Some(command) = rx.recv().await {
            match command {
                Command::Get { key, resp } => drop(resp.send(sums.get(&key).copied())),
                Command::Add { key, value, resp } => {
                    let sum = sums.entry(key).or_default();
                    *sum += value;
                    let _ = resp.send(*sum);
                }
            }
        }
        sums
    });
    let adding = tokio::spawn(async move {
        let mut last = 0;
        for value in 1..=100 {
            let (resp, answer) = oneshot::channel();
            let command = Command::Add { key: "sum".to_string(), value, resp };
            if tx.send(command).await.is_err() {
                panic!("the manager ended");
            }
            last = answer.await.unwrap();
        }
        last
    });
    let getting = tokio::spawn(async move {
        let (resp, answer) = oneshot::channel();
        tx2.send(Command::Get { key: "other".to_string(), resp }).await.ok().unwrap();
        // Nobody waits for the second answer.
        let (resp, _) = oneshot::channel();
        tx2.send(Command::Get { key: "sum".to_string(), resp }).await.ok().unwrap();
        answer.await.unwrap()
    });
    assert_eq!((adding.await.unwrap(), getting.await.unwrap()), (5050, None));
    assert_eq!(manager.await.unwrap(), BTreeMap::from([("sum".to_string(), 5050)]));
}

#[tokio::test]
async fn locks_and_cells_are_shared_through_arc() {
    let _watchdog = watchdog();
    let table = Arc::new(RwLock::new(BTreeMap::new()));
    let total = Arc::new(Mutex::new(0));
    let connected = Arc::new(OnceCell::new());
    let (barrier, dials) = (Arc::new(Barrier::new(4)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for number in 0..4u32 {
        let (table, total, connected) = (table.clone(), total.clone(), connected.clone());
        let (barrier, dials) = (barrier.clone(), dials.clone());
        tasks.spawn(async move {
            let session: &u32 = connected
                .get_or_init(|| async {
                    dials.fetch_add(1, SeqCst);
                    tokio::task::yield_now().await;
                    42
                })
                .await;
            table.write().await.insert(number, *session);
            let mut guard = total.lock().await;
            tokio::task::yield_now().await;
            *guard += number;
            drop(guard);
            barrier.wait().await.is_leader()
        });
    }
    let leaders = tasks.join_all().await.into_iter().filter(|leads| *leads).count();
    assert_eq!((leaders, dials.load(SeqCst), *total.lock().await), (1, 1, 6));
    assert_eq!(table.read().await.len(), 4);
    assert_eq!(Arc::into_inner(total).unwrap().into_inner(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_task_ends_with_the_handle_of_its_owner() {
    let _watchdog = watchdog();
    let stopped = Arc::new(Notify::new());
    struct Signal(Arc<Notify>);
    impl Drop for Signal {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let signal = Signal(stopped.clone());
    let background = AbortOnDropHandle::new(tokio::spawn(async move {
        let _signal = signal;
        time::sleep(Duration::from_secs(3600)).await;
    }));
    tokio::task::yield_now().await;
    assert!(!background.is_finished());
    let started = Instant::now();
    drop(background);
    stopped.notified().await;
    assert!(started.elapsed() < Duration::from_secs(1));
}
