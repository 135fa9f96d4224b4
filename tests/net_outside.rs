//! Sockets that are polled on threads without a runtime. Each socket is bound to a runtime, its home, whose loop watches
//! for that thread.

mod common;

use common::attempts::holds_once;
use common::outside::{Home, LONGEST_WAIT, Unpark, outside, outside_within, poll_once, unpark};
use common::selectors::laws;
use common::{in_time, ms, rounds, watchdog};
use runtime::io::{AsyncReadExt, AsyncWriteExt, Interest};
use runtime::net::{TcpListener, UdpSocket, UnixStream};
use runtime::selector::Kind;
use runtime::{Handle, Runtime};
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind, Read, Write};
use std::panic::catch_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

laws! {
    one_byte_goes_to_and_fro_many_times
    an_accepted_socket_is_bound_to_the_runtime_of_its_listener
    the_halves_are_used_on_two_threads_of_which_one_has_no_runtime
    the_home_registers_a_socket_that_it_also_watches_for_another_thread
    a_listener_accepts_outside_and_its_connections_have_its_home
    a_pending_read_ends_with_an_error_when_the_home_is_dropped
    another_runtime_takes_the_socket_while_a_thread_waits
    readiness_is_awaited_outside
    a_write_waits_until_the_peer_reads
    every_thread_that_waits_for_one_socket_is_served
    a_dropped_wait_and_a_dropped_socket_leave_nothing_behind
    a_timeout_is_counted_by_the_home
}

fn one_byte_goes_to_and_fro_many_times(kind: Kind) {
    let home = Home::new(kind);
    let (mut ours, mut echo) = home.accepted();
    // The peer is another thread, so that its byte may arrive at any moment of the wait.
    let peer = thread::spawn(move || {
        let mut byte = [0];
        while echo.read_exact(&mut byte).is_ok() {
            echo.write_all(&byte).unwrap();
        }
    });
    // A number of one's own shows how long a million take: `cargo test --release -- --nocapture`.
    let rounds =
        std::env::var("PING_PONGS").map_or(rounds(20_000, 2_000, 20), |rounds| rounds.parse().unwrap());
    let begun = Instant::now();
    let mut byte = [0];
    for round in 0..rounds {
        outside(ours.write_all(&[round as u8])).unwrap();
        outside(ours.read_exact(&mut byte)).unwrap();
        assert_eq!(byte, [round as u8]);
    }
    println!("{kind}: {} ns for each of {rounds}", begun.elapsed().as_nanos() / rounds as u128);
    drop(ours);
    peer.join().unwrap();
}

fn an_accepted_socket_is_bound_to_the_runtime_of_its_listener(kind: Kind) {
    let home = Home::new(kind);
    let before = home.sources();
    let (mut stream, mut other) = home.accepted();
    assert_eq!(home.sources(), before, "it has not been registered");
    let (waits, has_waited) = channel();
    let reader = thread::spawn(move || {
        let mut buffer = [0; 5];
        assert!(poll_once(stream.read(&mut buffer)).is_pending());
        waits.send(()).unwrap();
        outside(stream.read_exact(&mut buffer)).unwrap();
        (stream, buffer)
    });
    has_waited.recv().unwrap();
    other.write_all(b"hello").unwrap();
    let (mut stream, buffer) = reader.join().unwrap();
    assert_eq!(&buffer, b"hello");
    // The home takes the registration over, and goes on.
    let reading = home.handle.spawn(async move {
        let mut buffer = [0; 5];
        stream.read_exact(&mut buffer).await.unwrap();
        (stream, buffer)
    });
    home.run(runtime::task::yield_now());
    other.write_all(b"again").unwrap();
    let (mut stream, buffer) = outside(reading).unwrap();
    assert_eq!(&buffer, b"again");
    drop(other);
    assert_eq!(outside(stream.read(&mut [0; 5])).unwrap(), 0);
}

fn the_halves_are_used_on_two_threads_of_which_one_has_no_runtime(kind: Kind) {
    let home = Home::new(kind);
    let (stream, other) = home.accepted();
    let amount = rounds(8 << 20, 2 << 20, 64 << 10);
    let (mut reader, mut writer) = stream.into_split();
    let other_reader = other.try_clone().unwrap();
    let peer = [
        thread::spawn(move || write_amount(other, amount)),
        thread::spawn(move || read_amount(other_reader, amount)),
    ];
    let reading = home.handle.spawn(async move {
        let mut buffer = vec![0; 10_000];
        let mut read = 0;
        while read < amount {
            read += reader.read(&mut buffer).await.unwrap();
        }
        reader
    });
    outside(async {
        let buffer = vec![7; 10_000];
        let mut written = 0;
        while written < amount {
            written += writer.write(&buffer[..buffer.len().min(amount - written)]).await.unwrap();
        }
    });
    drop(outside_within(LONGEST_WAIT, reading).unwrap());
    peer.into_iter().for_each(|peer| peer.join().unwrap());
}

fn write_amount(mut stream: std::net::TcpStream, amount: usize) {
    stream.write_all(&vec![1; amount]).unwrap();
}

fn read_amount(mut stream: std::net::TcpStream, amount: usize) {
    stream.read_exact(&mut vec![0; amount]).unwrap();
}

fn the_home_registers_a_socket_that_it_also_watches_for_another_thread(kind: Kind) {
    let home = Home::new(kind);
    for _ in 0..rounds(50, 20, 2) {
        let (stream, mut other) = home.accepted();
        let (mut reader, mut writer) = stream.into_split();
        let mut buffer = [0; 5];
        // The home registers the socket for this thread, which does not know yet.
        let waker = unpark();
        let polled = pin!(reader.read(&mut buffer)).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        // The half on the home's thread has to wait as well.
        let amount = 8 << 20;
        let writing =
            home.handle.spawn(async move { writer.write_all(&vec![1; amount]).await.map(|()| writer) });
        home.run(runtime::task::yield_now());
        let peer = other.try_clone().unwrap();
        let peer = thread::spawn(move || read_amount(peer, amount));
        drop(outside_within(LONGEST_WAIT, writing).unwrap().unwrap());
        peer.join().unwrap();
        other.write_all(b"hello").unwrap();
        outside(reader.read_exact(&mut buffer)).unwrap();
        assert_eq!(&buffer, b"hello");
    }
}

fn a_listener_accepts_outside_and_its_connections_have_its_home(kind: Kind) {
    let home = Home::new(kind);
    let listener = home.run(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let mut accept = pin!(listener.accept());
    assert!(accept.as_mut().poll(&mut Context::from_waker(&unpark())).is_pending());
    let mut other = std::net::TcpStream::connect(address).unwrap();
    let (mut stream, _) = outside(accept).unwrap();
    let mut buffer = [0; 5];
    assert!(poll_once(stream.read(&mut buffer)).is_pending());
    other.write_all(b"hello").unwrap();
    outside(stream.read_exact(&mut buffer)).unwrap();
    assert_eq!(&buffer, b"hello");
}

fn a_pending_read_ends_with_an_error_when_the_home_is_dropped(kind: Kind) {
    holds_once(|| time_from_the_drop_of_the_home_to_the_end_of_reads(kind), |time| *time < ms(100));
}

fn time_from_the_drop_of_the_home_to_the_end_of_reads(kind: Kind) -> Duration {
    let home = Home::new(kind);
    let (mut registered, mut other) = home.accepted();
    let (mut accepted, _other) = home.accepted();
    let (mut timed, _other) = home.accepted();
    timed.set_read_timeout(Some(Duration::from_secs(3600))).unwrap();
    other.write_all(&[1]).unwrap();
    let mut registered = home.run(async move {
        let mut buffer = [0; 2];
        assert_eq!(registered.read(&mut buffer).await.unwrap(), 1);
        assert!(poll_once(registered.read(&mut buffer)).is_pending());
        registered
    });
    let (waits, waiting) = channel();
    let threads = [0, 1, 2].map(|which| {
        let waits = waits.clone();
        let mut stream = match which {
            0 => std::mem::replace(&mut registered, home.accepted().0),
            1 => std::mem::replace(&mut accepted, home.accepted().0),
            _ => std::mem::replace(&mut timed, home.accepted().0),
        };
        thread::spawn(move || {
            let mut buffer = [0; 2];
            assert!(poll_once(stream.read(&mut buffer)).is_pending());
            waits.send(()).unwrap();
            let error = outside_within(LONGEST_WAIT, stream.read(&mut buffer)).unwrap_err();
            (Instant::now(), error, stream)
        })
    });
    threads.iter().for_each(|_| waiting.recv().unwrap());
    // The threads are most likely parked by now. If one is not, it learns of the end in its next poll.
    home.run(runtime::task::yield_now());
    let dropped = Instant::now();
    drop(home);
    let mut longest = Duration::ZERO;
    for thread in threads {
        let (ended, error, mut stream) = thread.join().unwrap();
        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(error.to_string().contains("has been dropped"), "{error}");
        longest = longest.max(ended.saturating_duration_since(dropped));
        assert_eq!(outside(stream.read(&mut [0])).unwrap_err().kind(), ErrorKind::Other);
        // What need not wait still succeeds, and another runtime may take the stream.
        outside(stream.write_all(&[1])).unwrap();
        let other = Runtime::new().unwrap();
        assert!(other.block_on(async { poll_once(stream.read(&mut [0])) }).is_pending());
    }
    longest
}

fn another_runtime_takes_the_socket_while_a_thread_waits(kind: Kind) {
    let (home, next) = (Home::new(kind), Home::new(kind));
    let (stream, mut other) = home.accepted();
    let stream = Arc::new(stream);
    let (waits, waiting) = channel();
    let reader = thread::spawn({
        let stream = stream.clone();
        move || {
            let mut peek = [0; 5];
            let mut peeking = pin!(stream.peek(&mut peek));
            assert!(peeking.as_mut().poll(&mut Context::from_waker(&unpark())).is_pending());
            waits.send(()).unwrap();
            outside_within(LONGEST_WAIT, peeking).unwrap()
        }
    });
    waiting.recv().unwrap();
    let moved = next.handle.spawn({
        let stream = stream.clone();
        async move { stream.peek(&mut [0; 5]).await.unwrap() }
    });
    next.run(runtime::task::yield_now());
    drop(home);
    other.write_all(b"hello").unwrap();
    assert!(reader.join().unwrap() > 0);
    assert!(outside(moved).unwrap() > 0);
}

fn readiness_is_awaited_outside(kind: Kind) {
    let home = Home::new(kind);
    let (stream, mut other) = home.accepted();
    outside(stream.writable()).unwrap();
    let ready = outside(stream.ready(Interest::READABLE | Interest::WRITABLE)).unwrap();
    assert!(ready.is_writable() && !ready.is_readable());
    let mut readable = pin!(stream.readable());
    assert!(readable.as_mut().poll(&mut Context::from_waker(&unpark())).is_pending());
    other.write_all(&[1, 2]).unwrap();
    outside(readable).unwrap();
    let mut buffer = [0; 3];
    assert_eq!(stream.try_read(&mut buffer).unwrap(), 2);
    assert_eq!(stream.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(poll_once(stream.readable()).is_pending());
    other.write_all(&[3]).unwrap();
    let read = outside(stream.async_io(Interest::READABLE, || stream.try_read(&mut buffer))).unwrap();
    assert_eq!(read, 1);
    drop(other);
    assert!(outside(stream.ready(Interest::READABLE)).unwrap().is_readable());
}

fn a_write_waits_until_the_peer_reads(kind: Kind) {
    let home = Home::new(kind);
    let (mut stream, mut other) = home.accepted();
    let amount = 16 << 20;
    let (fills, is_full) = channel();
    let writer = thread::spawn(move || {
        let bytes = vec![1; amount];
        let mut writing = pin!(stream.write_all(&bytes));
        while writing.as_mut().poll(&mut Context::from_waker(&unpark())).is_ready() {}
        fills.send(()).unwrap();
        outside_within(LONGEST_WAIT, writing).unwrap();
    });
    is_full.recv().unwrap();
    other.read_exact(&mut vec![0; amount]).unwrap();
    writer.join().unwrap();
}

fn every_thread_that_waits_for_one_socket_is_served(kind: Kind) {
    const THREADS: usize = 4;
    let home = Home::new(kind);
    let socket = Arc::new(home.run(UdpSocket::bind("127.0.0.1:0")).unwrap());
    let address = socket.local_addr().unwrap();
    // The home waits for the same direction.
    let (sender, received): (Sender<u8>, Receiver<u8>) = channel();
    home.handle.spawn({
        let (socket, sender) = (socket.clone(), sender.clone());
        async move {
            let mut buffer = [0];
            while socket.recv(&mut buffer).await.is_ok() {
                _ = sender.send(buffer[0]);
            }
        }
    });
    let threads = [(); THREADS].map(|()| {
        let (socket, sender) = (socket.clone(), sender.clone());
        thread::spawn(move || {
            let mut buffer = [0];
            loop {
                outside_within(6 * LONGEST_WAIT, socket.recv(&mut buffer)).unwrap();
                if buffer[0] == u8::MAX {
                    return;
                }
                sender.send(buffer[0]).unwrap();
            }
        })
    });
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for round in in_time(rounds(2000, 500, 10)) {
        for number in 0..3 {
            client.send_to(&[number], address).unwrap();
        }
        let mut sum = 0;
        for _ in 0..3 {
            sum += received.recv_timeout(LONGEST_WAIT).unwrap_or_else(|_| panic!("in round {round}"));
        }
        assert_eq!(sum, 3);
    }
    // Each thread ends with one of these. The home may take some.
    while threads.iter().any(|thread| !thread.is_finished()) {
        client.send_to(&[u8::MAX], address).unwrap();
        thread::yield_now();
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn a_dropped_wait_and_a_dropped_socket_leave_nothing_behind(kind: Kind) {
    let home = Home::new(kind);
    let before = home.sources();
    let waker = unpark();
    for round in 0..10 {
        let (mut stream, other) = home.accepted();
        let held = Arc::new(Unpark(thread::current()));
        let counted = Waker::from(held.clone());
        {
            let mut peek = [0];
            let mut peeking = pin!(stream.peek(&mut peek));
            assert!(peeking.as_mut().poll(&mut Context::from_waker(&counted)).is_pending());
            home.run(runtime::task::yield_now());
            assert!(peeking.as_mut().poll(&mut Context::from_waker(&counted)).is_pending());
        }
        assert_eq!(Arc::strong_count(&held), 2, "the dropped future has left no waker");
        assert!(pin!(stream.read(&mut [0])).poll(&mut Context::from_waker(&waker)).is_pending());
        // The socket may be dropped before the home has registered it, or after that.
        if round % 2 == 0 {
            home.run(runtime::task::yield_now());
        }
        drop((stream, other));
    }
    home.run(runtime::task::yield_now());
    home.run(runtime::task::yield_now());
    assert_eq!(home.sources(), before);
}

fn a_timeout_is_counted_by_the_home(kind: Kind) {
    let home = Home::new(kind);
    let (mut stream, mut other) = home.accepted();
    stream.set_read_timeout(Some(ms(50))).unwrap();
    let mut buffer = [0];
    for _ in 0..2 {
        let begun = Instant::now();
        let error = outside(stream.read(&mut buffer)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(begun.elapsed() >= ms(49), "{:?}", begun.elapsed());
        other.write_all(&[1]).unwrap();
        outside(stream.read_exact(&mut buffer)).unwrap();
    }
    // A new timeout applies to a wait in progress.
    stream.set_read_timeout(Some(Duration::from_secs(3600))).unwrap();
    let stream = Arc::new(stream);
    let (waits, waiting) = channel();
    let reader = thread::spawn({
        let stream = stream.clone();
        move || {
            let mut buffer = [0];
            let mut peeking = pin!(stream.peek(&mut buffer));
            assert!(peeking.as_mut().poll(&mut Context::from_waker(&unpark())).is_pending());
            waits.send(()).unwrap();
            outside_within(LONGEST_WAIT, peeking).unwrap_err().kind()
        }
    });
    waiting.recv().unwrap();
    stream.set_read_timeout(Some(ms(10))).unwrap();
    assert_eq!(reader.join().unwrap(), ErrorKind::TimedOut);
}

#[test]
fn a_socket_that_is_bound_to_no_runtime_panics_outside() {
    let _watchdog = watchdog();
    let said = catch_unwind(|| {
        let (ours, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut ours = UnixStream::from_std(ours).unwrap();
        outside(ours.read(&mut [0])).unwrap();
    });
    let said = *said.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("UnixStream::read was polled outside of a runtime: call this inside"), "{said}");
}

/// Between two calls of `block_on`, the thread of the home has no runtime either.
#[test]
fn a_read_that_begins_between_two_calls_of_block_on_is_woken_in_the_second() {
    let _watchdog = watchdog();
    let home = Runtime::new().unwrap();
    let (mut ours, mut other) = home.block_on(async { UnixStream::pair() }).unwrap();
    let mut buffer = [0];
    let mut reading = pin!(ours.read(&mut buffer));
    assert!(reading.as_mut().poll(&mut Context::from_waker(&unpark())).is_pending());
    let read = home.block_on(async {
        other.write_all(&[1]).await.unwrap();
        reading.await
    });
    assert_eq!(read.unwrap(), 1);
}

/// The waker of the thread is user code, and runs in the home.
#[test]
fn a_waker_that_panics_or_uses_the_home_does_no_harm() {
    struct Hostile(Handle);
    impl Wake for Hostile {
        fn wake(self: Arc<Self>) {
            assert_eq!(Handle::current().id(), self.0.id());
            drop(runtime::spawn(runtime::task::yield_now()));
            std::panic::resume_unwind(Box::new("hostile"));
        }
    }
    let _watchdog = watchdog();
    let home = Home::new(Kind::available()[0]);
    let (mut stream, mut other) = home.accepted();
    let waker = Waker::from(Arc::new(Hostile(home.handle.clone())));
    let mut buffer = [0];
    for round in 0..10 {
        // The wake after the home has begun to watch, and then that of the event.
        for _ in 0..2 {
            let polled = pin!(stream.read(&mut buffer)).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            home.run(runtime::task::yield_now());
        }
        other.write_all(&[round]).unwrap();
        outside(stream.read_exact(&mut buffer)).unwrap();
        assert_eq!(buffer, [round]);
    }
}

/// A helper thread fires many oneshots at random moments. Every task resumes soon, and on the thread of its runtime. A
/// machine that is busy with other work lets the thread itself wait for its turn. How often that happens is seen by
/// the channels of std, which the helper uses in the same manner.
#[test]
fn tasks_that_another_thread_wakes_resume_soon() {
    let _watchdog = watchdog();
    let count = rounds(20_000, 5_000, 50);
    runtime::block_on(async {
        let home = thread::current().id();
        let (sender, receiver) = channel::<Box<dyn FnOnce() + Send>>();
        let helper = thread::spawn(move || {
            let mut seed = 1_u32;
            for fire in receiver {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let until = Instant::now() + Duration::from_nanos(u64::from(seed >> 12) % 50_000);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                fire();
            }
        });
        let (mut late, mut late_threads) = (0, 0);
        for _ in 0..count {
            let (oneshot, fired) = tokio::sync::oneshot::channel();
            sender.send(Box::new(|| oneshot.send(Instant::now()).unwrap())).unwrap();
            let fired = fired.await.unwrap();
            assert_eq!(thread::current().id(), home);
            late += usize::from(fired.elapsed() >= ms(20));
            let (one, fired) = channel();
            sender.send(Box::new(move || one.send(Instant::now()).unwrap())).unwrap();
            late_threads += usize::from(fired.recv().unwrap().elapsed() >= ms(20));
        }
        drop(sender);
        helper.join().unwrap();
        assert!(
            late <= count / 1000 + 3 * late_threads,
            "{late} of {count} tasks resumed late, and {late_threads} threads"
        );
    });
}

#[test]
fn a_stream_that_ends_is_closed_outside() {
    let _watchdog = watchdog();
    let home = Home::new(Kind::available()[0]);
    let (mut stream, other) = home.accepted();
    other.shutdown(std::net::Shutdown::Write).unwrap();
    let read = outside(poll_fn(|cx| pin!(stream.read(&mut [0])).poll(cx)));
    assert!(matches!(read, io::Result::Ok(0)));
}
