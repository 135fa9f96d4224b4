//! Sockets that are polled on threads without a runtime, in programs that mean harm: wakers that use what wakes them,
//! owners that go in the midst of a wait, and runtimes that take a socket from each other.

mod common;

use common::outside::{Home, outside, poll_once};
use common::selectors::laws;
use common::{CountingWaker, ms, poll_to_end, rounds, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::{TcpStream, UnixStream};
use runtime::selector::Kind;
use runtime::task::yield_now;
use runtime::{Builder, Runtime};
use std::io::{ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

laws! {
    a_socket_comes_back_although_its_home_has_registered_it_for_nobody
    a_socket_that_is_dropped_at_once_leaves_no_alarm
    a_waker_that_drops_or_polls_its_socket_does_no_harm
    wakers_that_panic_whenever_they_are_used_lose_no_event
    the_number_of_a_closed_socket_may_be_used_again
    the_helpers_of_io_work_outside
    a_future_that_wanders_between_threads_is_woken_where_it_is
}

/// A runtime of this thread. Its loop turns only where the test says so.
fn idle(kind: Kind) -> Runtime {
    Builder::new_current_thread().selector(kind).build().unwrap()
}

fn pair(home: &Runtime) -> (UnixStream, UnixStream) {
    home.block_on(async { UnixStream::pair() }).unwrap()
}

/// Polls a read on a thread without a runtime, where it has to wait, and gives it up.
fn begin_to_read(mut stream: UnixStream) -> UnixStream {
    let begins = move || {
        assert!(poll_once(stream.read(&mut [0])).is_pending());
        stream
    };
    thread::spawn(begins).join().unwrap()
}

/// Lets a runtime of this thread take what other threads have sent.
fn turn(runtime: &Runtime) {
    runtime.turn(Some(Duration::ZERO));
    runtime.turn(Some(Duration::ZERO));
}

/// The home registers the socket for a wait that was given up, while another runtime has it. When it comes back, the
/// selector of the home must not refuse it.
fn a_socket_comes_back_although_its_home_has_registered_it_for_nobody(kind: Kind) {
    let (home, other) = (idle(kind), idle(kind));
    let (ours, mut peer) = pair(&home);
    let mut ours = begin_to_read(ours);
    assert!(other.block_on(async { poll_once(ours.read(&mut [0])) }).is_pending());
    let before = home.metrics().io_sources;
    turn(&home);
    let read = home.block_on(async {
        assert!(common::poll_once(ours.read(&mut [0])).await.is_none());
        peer.write_all(&[1]).await.unwrap();
        ours.read(&mut [0]).await
    });
    assert_eq!(read.unwrap(), 1);
    drop((ours, peer));
    turn(&home);
    turn(&other);
    assert_eq!([&home, &other].map(|runtime| runtime.metrics().io_sources), [before; 2]);
}

fn a_socket_that_is_dropped_at_once_leaves_no_alarm(kind: Kind) {
    let home = idle(kind);
    for arrives_first in [false, true] {
        let (ours, _peer) = pair(&home);
        ours.set_read_timeout(Some(Duration::from_secs(3600))).unwrap();
        let ours = begin_to_read(ours);
        if arrives_first {
            turn(&home);
            assert!(home.next_deadline().is_some());
        }
        thread::spawn(move || drop(ours)).join().unwrap();
        turn(&home);
        assert_eq!(home.next_deadline(), None, "{arrives_first}");
    }
}

fn a_waker_that_drops_or_polls_its_socket_does_no_harm(kind: Kind) {
    type Held = Arc<Mutex<Option<UnixStream>>>;
    struct Polls(Held);
    impl Wake for Polls {
        fn wake(self: Arc<Self>) {
            let stream = self.0.lock().unwrap().take();
            if let Some(mut stream) = stream {
                // This may run in the home, and then leaves this waker in its reactor.
                _ = pin!(stream.read(&mut [0])).poll(&mut Context::from_waker(&Waker::from(self.clone())));
                *self.0.lock().unwrap() = Some(stream);
            }
        }
    }
    struct Drops(Held);
    impl Wake for Drops {
        fn wake(self: Arc<Self>) {
            let stream = self.0.lock().unwrap().take();
            drop(stream);
        }
    }
    let home = Home::new(kind);
    let before = home.sources();
    for round in 0..rounds(200, 50, 2) {
        let (mut ours, mut peer) = home.run(async { UnixStream::pair() }).unwrap();
        let held = Held::default();
        let waker = if round % 2 == 0 {
            Waker::from(Arc::new(Polls(held.clone())))
        } else {
            Waker::from(Arc::new(Drops(held.clone())))
        };
        assert!(pin!(ours.read(&mut [0])).poll(&mut Context::from_waker(&waker)).is_pending());
        *held.lock().unwrap() = Some(ours);
        // The waker may have dropped the socket already, when the home began to watch.
        _ = outside(peer.write_all(&[1]));
        home.run(yield_now());
        home.run(yield_now());
        drop(held.lock().unwrap().take());
        drop((peer, waker));
    }
    home.run(yield_now());
    home.run(yield_now());
    assert_eq!(home.sources(), before);
}

fn wakers_that_panic_whenever_they_are_used_lose_no_event(kind: Kind) {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("hostile"));
        }
    }
    impl Drop for Panics {
        fn drop(&mut self) {
            if !thread::panicking() {
                std::panic::resume_unwind(Box::new("hostile"));
            }
        }
    }
    let home = Home::new(kind);
    let (ours, mut peer) = home.accepted();
    let mut others = Vec::new();
    for round in 0..10 {
        // Waiters of their own, of which one panics, and one has to be woken all the same.
        let mut peek = [0];
        let mut first = Box::pin(ours.peek(&mut peek));
        let hostile = Waker::from(Arc::new(Panics));
        assert!(first.as_mut().poll(&mut Context::from_waker(&hostile)).is_pending());
        _ = catch_unwind(AssertUnwindSafe(|| drop(hostile)));
        let writes = peer.try_clone().unwrap();
        others.push(thread::spawn(move || {
            thread::sleep(ms(1));
            let mut writes = writes;
            writes.write_all(&[round]).unwrap();
        }));
        let mut byte = [0];
        outside(ours.peek(&mut byte)).unwrap();
        assert_eq!(byte, [round]);
        // If it waits again, its waker is dropped now, which panics too.
        drop(first);
        assert_eq!(ours.try_read(&mut byte).unwrap(), 1);
    }
    others.into_iter().for_each(|thread| thread.join().unwrap());
    peer.set_nonblocking(true).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// A request that arrives after its socket was closed finds another socket under that number.
fn the_number_of_a_closed_socket_may_be_used_again(kind: Kind) {
    let home = idle(kind);
    let (_kept, mut peer) = pair(&home);
    for round in 0..rounds(100, 50, 4) {
        let (ours, other) = pair(&home);
        let ours = begin_to_read(ours);
        drop((ours, other));
        // The new socket has the number, and is registered before or after the request arrives.
        let (mut next, mut writer) = pair(&home);
        if round % 2 == 0 {
            turn(&home);
        }
        home.block_on(async {
            assert!(common::poll_once(next.read(&mut [0])).await.is_none());
            writer.write_all(&[7]).await.unwrap();
            assert_eq!(next.read_u8().await.unwrap(), 7);
        });
    }
    home.block_on(peer.write_all(&[1])).unwrap();
    turn(&home);
    assert_eq!(home.metrics().io_sources, 0);
}

fn the_helpers_of_io_work_outside(kind: Kind) {
    let home = Home::new(kind);
    let (mut ours, mut peer) = home.accepted();
    let amount = 300_000;
    let writer = thread::spawn(move || {
        thread::sleep(ms(2));
        peer.write_all(&vec![3; amount]).unwrap();
        let mut echo = peer.try_clone().unwrap();
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            echo.read_to_end(&mut bytes).unwrap();
            bytes.len()
        });
        peer.write_all(b"\nline\n").unwrap();
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        reader.join().unwrap()
    });
    let mut bytes = vec![0; amount];
    outside(ours.read_exact(&mut bytes)).unwrap();
    let mut rest = Vec::new();
    outside(ours.read_to_end(&mut rest)).unwrap();
    assert_eq!(rest, b"\nline\n");
    outside(async {
        let mut from = &bytes[..];
        assert_eq!(runtime::io::copy(&mut from, &mut ours).await.unwrap(), amount as u64);
        ours.shutdown().await.unwrap();
    });
    assert_eq!(writer.join().unwrap(), amount);
}

/// One future is polled on a thread without a runtime, on that of its home and on that of another runtime, in turn.
fn a_future_that_wanders_between_threads_is_woken_where_it_is(kind: Kind) {
    let (home, other) = (Home::new(kind), Home::new(kind));
    for last in 0..3 {
        let (ours, mut peer): (TcpStream, _) = home.accepted();
        let mut future = Box::pin(async move {
            let mut byte = [0];
            for expected in 0..10 {
                ours.peek(&mut byte).await.unwrap();
                ours.readable().await.unwrap();
                assert_eq!(ours.try_read(&mut byte).unwrap(), 1);
                assert_eq!(byte, [expected]);
            }
        });
        for step in 0..9 {
            for place in [0, 1, 2, 0, 2, 1, 0] {
                let polls = async move { (common::poll_once(future.as_mut()).await.is_none(), future) };
                let is_pending;
                (is_pending, future) = match place {
                    0 => poll_to_end(polls),
                    1 => home.run(polls),
                    _ => other.run(polls),
                };
                assert!(is_pending);
            }
            peer.write_all(&[step]).unwrap();
        }
        peer.write_all(&[9]).unwrap();
        match last {
            0 => outside(future),
            1 => home.run(future),
            _ => other.run(future),
        }
    }
}

/// The callers of a direction share one timeout, but who begins to wait after its end has not waited that long.
#[test]
fn a_caller_does_not_get_the_timeout_of_another_one() {
    let _watchdog = watchdog();
    let home = idle(Kind::available()[0]);
    let (ours, _peer) = pair(&home);
    ours.set_read_timeout(Some(ms(20))).unwrap();
    let (first_wakes, first_waker) = CountingWaker::new();
    let (second_wakes, second_waker) = CountingWaker::new();
    let mut first = Box::pin(ours.readable());
    assert!(first.as_mut().poll(&mut Context::from_waker(&first_waker)).is_pending());
    // Woken when the home has begun to watch, and by the alarm.
    while first_wakes.wakes() == 0 {
        home.turn(Some(ms(10)));
    }
    if first.as_mut().poll(&mut Context::from_waker(&first_waker)).is_ready() {
        // The test was suspended, and the timeout has passed before.
        return;
    }
    while first_wakes.wakes() == 1 {
        home.turn(Some(ms(10)));
    }
    let mut second = Box::pin(ours.readable());
    assert!(second.as_mut().poll(&mut Context::from_waker(&second_waker)).is_pending());
    let Poll::Ready(timed_out) = first.as_mut().poll(&mut Context::from_waker(&first_waker)) else {
        // The test was suspended for a second, and the wait has begun anew.
        return;
    };
    assert_eq!(timed_out.unwrap_err().kind(), ErrorKind::TimedOut);
    drop(first);
    // The second caller has a timeout of its own, whether the first one has taken the other or not.
    let second = loop {
        let wakes = second_wakes.wakes();
        match second.as_mut().poll(&mut Context::from_waker(&second_waker)) {
            Poll::Ready(ended) => break ended,
            Poll::Pending => {
                while second_wakes.wakes() == wakes {
                    home.turn(Some(ms(10)));
                }
            }
        }
    };
    assert_eq!(second.unwrap_err().kind(), ErrorKind::TimedOut);
}

/// The home begins to watch for one thread while another one tries in vain, and the only event comes before that.
#[test]
fn an_event_between_the_attempt_of_one_thread_and_the_watch_of_another_is_not_lost() {
    type Step = Box<dyn FnOnce() + Send>;
    let _watchdog = watchdog();
    let before_wait: Arc<Mutex<Option<Step>>> = Arc::default();
    let step = before_wait.clone();
    let home = Builder::new_current_thread()
        .on_thread_park(move || {
            let step = step.lock().unwrap().take();
            step.into_iter().for_each(|step| step());
        })
        .build()
        .unwrap();
    let (ours, peer) = pair(&home);
    assert!(home.block_on(async { poll_once(ours.readable()) }).is_pending());
    turn(&home);
    let (ours, mut buffer, mut attempts) = (Arc::new(ours), [0; 2], 0);
    // Kept, so that its end is not another event.
    let kept: Arc<Mutex<Option<UnixStream>>> = Arc::default();
    let sent = kept.clone();
    let other = ours.clone();
    *before_wait.lock().unwrap() = Some(Box::new(move || {
        thread::spawn(move || assert!(poll_once(other.readable()).is_pending())).join().unwrap();
        assert_eq!(peer.try_write(&[7]).unwrap(), 1);
        *sent.lock().unwrap() = Some(peer);
    }));
    let read = poll_once(ours.async_io(Interest::READABLE, || {
        attempts += 1;
        let read = ours.try_read(&mut buffer);
        // The first attempt is made before the thread is found to have no runtime.
        if attempts == 2 {
            // The event is fetched, and nobody waits for it in the home. In the second turn, the home begins to watch.
            home.turn(Some(ms(1)));
            home.turn(Some(Duration::ZERO));
        }
        read
    }));
    // A level-triggered selector reports the data again, which ends the watch.
    if home.handle().selector() == Kind::Epoll {
        assert!(matches!(read, Poll::Ready(Ok(1))), "{read:?}");
        assert_eq!(attempts, 3);
    }
}
