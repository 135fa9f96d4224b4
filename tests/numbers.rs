//! Runtimes get the numbers of dropped ones, after 65,534 others: a *namesake* is a runtime that has the number of a
//! dropped one. What the dropped runtime has left behind has no effect in the namesake, nor on other threads. Each
//! test runs in a process of its own, where nothing else makes runtimes.
#![cfg(not(miri))] // 65,536 runtimes are too many for an interpreter.

mod common;

use common::process::in_child;
use common::{poll_once, yield_times};
use runtime::io::{AsyncReadExt, AsyncWriteExt};
use runtime::net::{AsyncFd, UnixStream};
use runtime::task::{self, JoinHandle};
use runtime::time::{self, Instant};
use runtime::{Builder, Runtime, spawn};
use std::future::pending;
use std::io::Write;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Drops a runtime, and makes others until the next one has its number.
fn namesake(runtime: Runtime) -> Runtime {
    drop(runtime);
    (0..65_534).for_each(|_| drop(Runtime::new().unwrap()));
    // Timers are told apart only by the clock, so it is paused.
    Builder::new_current_thread().start_paused(true).build().unwrap()
}

fn number(id: task::Id) -> u16 {
    id.to_string().parse::<u64>().unwrap() as u16
}

/// The dropped runtime leaves the handles of tasks, and a socket that waits.
#[test]
fn what_a_runtime_has_left_means_nothing_in_its_namesake() {
    in_child(|| {
        let runtime = Runtime::new().unwrap();
        let (mut stream, mut other) = UnixStream::pair().unwrap();
        let task = runtime.spawn(pending::<String>());
        let away = [(); 2].map(|()| runtime.spawn(pending::<()>()));
        runtime.block_on(async {
            let mut buffer = [0];
            let reading = pin!(stream.read(&mut buffer));
            assert!(reading.poll(&mut noop()).is_pending());
        });
        namesake(runtime).block_on(async {
            // The first task and the first socket have the same slots as those of the dropped runtime.
            let own = spawn(async {
                yield_times(2).await;
                7
            });
            assert_eq!(number(own.id()), number(task.id()));
            assert_ne!(own.id(), task.id());
            task.abort();
            assert!(task.is_finished());
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(own.await.unwrap(), 7);
            let own = [(); 3].map(|()| spawn(pending::<()>()));
            task::yield_now().await;
            thread::spawn(move || are_cancelled_elsewhere(away)).join().unwrap();
            assert!(own.iter().all(|task| !task.is_finished()));

            let (mut one, mut two) = UnixStream::pair().unwrap();
            let reading = spawn(async move { one.read(&mut [0; 8]).await });
            yield_times(2).await;
            let reading_too = spawn(async move { stream.read(&mut [0; 8]).await });
            yield_times(2).await;
            two.write_all(b"one").await.unwrap();
            assert_eq!(reading.await.unwrap().unwrap(), 3);
            other.write_all(b"both").await.unwrap();
            assert_eq!(reading_too.await.unwrap().unwrap(), 4);
        });
    });
}

/// Checks the handles on a thread that is not the namesake's, with a runtime and without.
fn are_cancelled_elsewhere([with, without]: [JoinHandle<()>; 2]) {
    assert!(with.is_finished() && with.abort_handle().is_finished());
    with.abort();
    assert!(runtime::block_on(with).unwrap_err().is_cancelled());
    assert!(futures_lite::future::block_on(without).unwrap_err().is_cancelled());
}

/// The stale sleeps were armed as the first timers of their runtime. So are those of the namesake's tasks, which have
/// the same deadline.
#[test]
fn a_stale_sleep_disturbs_no_timer_of_the_namesake() {
    in_child(|| {
        let deadline = Instant::now() + Duration::from_secs(3600);
        let mut stale = [(); 3].map(|()| time::sleep_until(deadline));
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            for sleep in &mut stale {
                assert!(poll_once(sleep).await.is_none());
            }
        });
        namesake(runtime).block_on(async {
            let own = [(); 3].map(|()| spawn(time::sleep_until(deadline)));
            task::yield_now().await;
            let [dropped, mut polled, mut reset] = stale;
            drop(dropped);
            assert!(Pin::new(&mut polled).poll(&mut noop()).is_pending());
            Pin::new(&mut reset).reset(Instant::now() + Duration::from_secs(1 << 40));
            for (task, disturbed_by) in own.into_iter().zip(["a drop", "a poll", "a reset"]) {
                let limit = Duration::from_secs(7200);
                assert!(time::timeout(limit, task).await.is_ok(), "its timer was lost by {disturbed_by}");
            }
            assert!(Instant::now() < deadline + Duration::from_secs(1));
        });
    });
}

/// The stale sockets have the same slots and generations as those of the namesake: the first one from the start, the
/// second one later, since generations have 16 bits and begin with a different number each time a runtime's number is
/// reused.
#[test]
fn a_stale_socket_that_is_dropped_deregisters_no_socket_of_the_namesake() {
    const LATE: usize = 25_035;
    fn pair() -> (StdUnixStream, StdUnixStream) {
        let (one, other) = StdUnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        (one, other)
    }
    async fn hears_though(own: AsyncFd<StdUnixStream>, mut other: StdUnixStream, dropped: impl Sized) {
        let reading = spawn(async move { drop(own.readable().await.unwrap()) });
        task::yield_now().await;
        drop(dropped);
        other.write_all(b"x").unwrap();
        reading.await.unwrap();
    }
    in_child(|| {
        let runtime = Runtime::new().unwrap();
        let [(one, _one), (two, _two)] = [pair(), pair()];
        let (one, two) = runtime.block_on(async { (AsyncFd::new(one).unwrap(), AsyncFd::new(two).unwrap()) });
        namesake(runtime).block_on(async {
            let [(first, first_other), (mut second, second_other)] = [pair(), pair()];
            let (kept, _other) = pair();
            hears_though(AsyncFd::new(first).unwrap(), first_other, one).await;
            let _in_the_first_place = AsyncFd::new(kept).unwrap();
            for _ in 2..LATE - 1 {
                second = AsyncFd::new(second).unwrap().into_inner();
            }
            hears_though(AsyncFd::new(second).unwrap(), second_other, two).await;
        });
    });
}
