//! Every poll function of the library, each set up so that it has to wait. The tests poll them with hostile wakers.

mod streams;

use super::adversary::{Adversary, Deed, On, set_victim, spawn_bystander};
use super::{Count, until};
use futures_lite::StreamExt;
use runtime::io::{AsyncRead, AsyncWrite, Interest};
use runtime::net::{AsyncFd, TcpListener, TcpStream, lookup_host};
use runtime::time::{self, Instant, interval_at, sleep, sleep_until, timeout, timeout_at};
use runtime::{Handle, Runtime, spawn, task};
use std::future::{pending, poll_fn};
use std::io::{PipeReader, Write, pipe};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

type PollFn = Box<dyn FnMut(&mut Context<'_>) -> Poll<()>>;

/// An operation that waits.
pub(crate) struct Subject {
    pub(crate) poll: PollFn,
    /// Makes the operation ready, now or soon.
    pub(crate) ready: Box<dyn FnOnce()>,
}

/// A function that sets up a subject, within a runtime.
pub(crate) type Make = fn() -> Subject;

const SOON: Duration = Duration::from_micros(200);

/// Returns all of them, with their names.
pub(crate) fn subjects() -> impl Iterator<Item = &'static (&'static str, Make)> + Clone {
    SUBJECTS.iter().chain(streams::STREAMS)
}

#[rustfmt::skip]
const SUBJECTS: &[(&str, Make)] = &[
    ("a join handle", join_handle),
    ("a join handle from Handle::spawn", join_handle_away),
    ("a join handle of a blocking call", join_handle_blocking),
    ("yield_now", || future(task::yield_now(), || {})),
    ("sleep", || future(sleep(SOON), || {})),
    ("sleep_until", || future(sleep_until(Instant::now() + SOON), || {})),
    ("timeout", || future(timeout(SOON, pending::<()>()), || {})),
    ("timeout_at", || future(timeout_at(Instant::now() + SOON, pending::<()>()), || {})),
    ("Interval::poll_tick", poll_tick),
    ("advance", advance),
    ("TcpStream::poll_read", || reading(|stream, cx| Pin::new(stream).poll_read(cx, &mut [0; 8]).map(drop))),
    ("TcpStream::poll_peek", || reading(|stream, cx| stream.poll_peek(cx, &mut [0; 8]).map(drop))),
    ("TcpStream::poll_read_ready", || reading(|stream, cx| stream.poll_read_ready(cx).map(drop))),
    ("TcpStream::readable", || reading_async(async |stream| drop(stream.readable().await))),
    ("TcpStream::peek", || reading_async(async |stream| drop(stream.peek(&mut [0; 8]).await))),
    ("TcpStream::ready", || reading_async(async |stream| drop(stream.ready(Interest::READABLE).await))),
    ("TcpStream::async_io", || reading_async(async |stream| drop(
        stream.async_io(Interest::READABLE, || stream.try_read(&mut [0; 8])).await
    ))),
    ("a read with a timeout", || reading_async(async |stream| drop(
        timeout(Duration::from_secs(3600), stream.readable()).await
    ))),
    ("TcpStream::poll_write", || writing(|stream, cx| Pin::new(stream).poll_write(cx, &[0; 8]).map(drop))),
    ("TcpStream::poll_write_ready", || writing(|stream, cx| stream.poll_write_ready(cx).map(drop))),
    ("TcpListener::accept", || accepting(async |listener| drop(listener.accept().await))),
    ("TcpListener::poll_accept", || accepting(async |listener| drop(poll_fn(|cx| listener.poll_accept(cx)).await))),
    ("TcpListener::incoming", || accepting(async |listener| drop(listener.incoming().next().await))),
    ("TcpStream::connect", connect),
    ("lookup_host", || future(async { drop(lookup_host("localhost:80").await) }, || {})),
    ("AsyncFd::poll_read_ready", || polling_fd(|fd, cx| fd.poll_read_ready(cx).map(drop))),
    ("AsyncFd::readable", || waiting_fd(async |fd| drop(fd.readable().await))),
    ("AsyncFd::async_io", || reading_fd(async |fd| drop(
        fd.async_io(Interest::READABLE, |mut socket| std::io::Read::read(&mut socket, &mut [0; 8])).await
    ))),
];

/// The outcome of an [`ordeal`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// The subject becomes ready, and is polled to its end.
    Ready,
    /// The subject is dropped while it waits.
    Cancelled,
    /// The runtime is dropped while the subject waits.
    RuntimeDropped,
}

pub(crate) const ENDINGS: [Ending; 3] = [Ending::Ready, Ending::Cancelled, Ending::RuntimeDropped];

/// The counts of an [`ordeal`].
pub(crate) struct Report {
    /// The numbers of calls of the hostile function, and of deeds that it performed.
    pub(crate) calls: usize,
    pub(crate) performed: usize,
    /// The number of deeds at which the runtime panicked.
    pub(crate) failed: usize,
    /// The number of wakers that exist after everything has been dropped.
    pub(crate) live_wakers: usize,
    /// The number of panics that came out of a poll or a drop.
    pub(crate) panics: usize,
}

/// Polls a subject with two hostile wakers, on a runtime of its own: a waker waits, and is replaced by another one,
/// which is woken or left behind. Other tasks of the runtime still work.
pub(crate) fn ordeal(make: Make, on: On, deeds: [Deed; 2], ending: Ending) -> Report {
    let [first, second] = deeds.map(|deed| Adversary::new(on, deed));
    let (polls, drops, panics) = (Count::default(), Count::default(), Count::default());
    let runtime = Runtime::new().unwrap();
    let left = runtime.block_on(async {
        spawn_bystander(&polls, &drops);
        task::yield_now().await;
        let mut subject = Some(make());
        let (first_waker, second_waker) = (first.waker(), second.waker());
        poll(&mut subject, &first_waker, &panics);
        poll(&mut subject, &first_waker, &panics);
        poll(&mut subject, &second_waker, &panics);
        guarded(&panics, || drop(first_waker));
        match ending {
            Ending::Ready => {
                if let Some(Subject { poll, ready }) = subject.take() {
                    // This may wake, as the sender of a channel does.
                    guarded(&panics, ready);
                    subject = Some(Subject { poll, ready: Box::new(|| {}) });
                }
                until(|| second.wakes() > 0 || subject.is_none()).await;
                while subject.is_some() {
                    task::yield_now().await;
                    poll(&mut subject, &second_waker, &panics);
                }
            }
            Ending::Cancelled => guarded(&panics, || drop(subject.take())),
            Ending::RuntimeDropped => {}
        }
        guarded(&panics, || drop(second_waker));
        works().await;
        subject
    });
    assert_eq!(drops.get(), 0, "a bystander was dropped");
    drop(runtime);
    assert_eq!(drops.get(), 1, "a bystander is dropped with its runtime, once");
    guarded(&panics, || drop(left));
    // A thread of the pool may be about to wake one of them.
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while first.live() + second.live() > 0 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    Report {
        calls: first.calls() + second.calls(),
        performed: first.performed() + second.performed(),
        failed: first.failed() + second.failed(),
        live_wakers: first.live() + second.live(),
        panics: panics.get(),
    }
}

/// Checks that the runtime still works.
pub(crate) async fn works() {
    let sum = spawn(async {
        sleep(Duration::ZERO).await;
        let (reader, mut writer) = pipe().unwrap();
        let reader = AsyncFd::new(reader).unwrap();
        writer.write_all(b"x").unwrap();
        drop(reader.readable().await.unwrap());
        40
    });
    assert_eq!(sum.await.unwrap() + Handle::current().spawn(async { 2 }).await.unwrap(), 42);
}

/// Polls the subject, unless it is gone. A subject that is ready or has panicked is dropped.
fn poll(subject: &mut Option<Subject>, waker: &Waker, panics: &Count) {
    let mut polled = Poll::Ready(());
    guarded(panics, || {
        if let Some(Subject { poll, .. }) = subject {
            polled = poll(&mut Context::from_waker(waker));
        }
    });
    if polled.is_ready() {
        guarded(panics, || drop(subject.take()));
    }
}

fn guarded(panics: &Count, f: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(f)).is_err() {
        panics.add();
    }
}

fn future<F: Future + 'static>(future: F, ready: impl FnOnce() + 'static) -> Subject {
    let mut future = Box::pin(future);
    Subject { poll: Box::new(move |cx| future.as_mut().poll(cx).map(drop)), ready: Box::new(ready) }
}

/// A gate that is waited for until [`Gate::open`] is called, on any thread.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<GateState>);

#[derive(Default)]
struct GateState {
    is_open: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl GateState {
    /// A panic of a hostile waker ends here, since the tests are about the library's drops.
    fn replace(&self, waker: Option<Waker>) {
        let earlier = std::mem::replace(&mut *self.waker.lock().unwrap(), waker);
        drop(catch_unwind(AssertUnwindSafe(|| drop(earlier))));
    }
}

impl Drop for GateState {
    fn drop(&mut self) {
        self.replace(None);
    }
}

impl Gate {
    pub(crate) fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let gate = self.clone();
        poll_fn(move |cx| {
            gate.0.replace(Some(cx.waker().clone()));
            if gate.0.is_open.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    pub(crate) fn open(&self) {
        self.0.is_open.store(true, SeqCst);
        let waker = self.0.waker.lock().unwrap().take();
        waker.into_iter().for_each(Waker::wake);
    }
}

fn join_handle() -> Subject {
    let gate = Gate::default();
    let task = spawn(gate.wait());
    set_victim(task.abort_handle());
    future(task, move || gate.open())
}

fn join_handle_away() -> Subject {
    let gate = Gate::default();
    let task = Handle::current().spawn(gate.wait());
    set_victim(task.abort_handle());
    future(task, move || gate.open())
}

fn join_handle_blocking() -> Subject {
    let (sender, receiver) = mpsc::channel::<()>();
    let call = task::spawn_blocking(move || receiver.recv().is_ok());
    set_victim(call.abort_handle());
    future(call, move || drop(sender))
}

fn poll_tick() -> Subject {
    let mut interval = interval_at(Instant::now() + SOON, Duration::from_secs(3600));
    Subject { poll: Box::new(move |cx| interval.poll_tick(cx).map(drop)), ready: Box::new(|| {}) }
}

fn advance() -> Subject {
    time::pause();
    drop(spawn(sleep(SOON)));
    future(time::advance(Duration::from_secs(1)), || {})
}

fn pair() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (TcpStream::from_std(listener.accept().unwrap().0).unwrap(), other)
}

type PollStream = fn(&mut TcpStream, &mut Context<'_>) -> Poll<()>;

fn reading(poll: PollStream) -> Subject {
    let (mut stream, mut other) = pair();
    Subject {
        poll: Box::new(move |cx| poll(&mut stream, cx)),
        ready: Box::new(move || other.write_all(b"hello").unwrap()),
    }
}

fn reading_async(wait: impl AsyncFnOnce(TcpStream) + 'static) -> Subject {
    let (stream, mut other) = pair();
    future(wait(stream), move || other.write_all(b"hello").unwrap())
}

/// Makes a subject that writes to a full stream, whose peer is closed to make it ready.
fn writing(poll: PollStream) -> Subject {
    let (mut stream, other) = pair();
    socket2::SockRef::from(&stream).set_send_buffer_size(4096).unwrap();
    while stream.try_write(&[0; 65536]).is_ok() {}
    // In the first wait, a direction of which nothing is known must not be taken for ready.
    let mut cx = Context::from_waker(Waker::noop());
    while Pin::new(&mut stream).poll_write(&mut cx, &[0; 65536]).is_ready() {}
    Subject { poll: Box::new(move |cx| poll(&mut stream, cx)), ready: Box::new(move || drop(other)) }
}

fn accepting(wait: impl AsyncFnOnce(TcpListener) + 'static) -> Subject {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    future(wait(TcpListener::from_std(listener).unwrap()), move || {
        drop(std::net::TcpStream::connect(address).unwrap());
    })
}

fn connect() -> Subject {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    future(TcpStream::connect(address), move || drop(listener))
}

fn polling_fd(poll: fn(&AsyncFd<PipeReader>, &mut Context<'_>) -> Poll<()>) -> Subject {
    let (reader, mut writer) = pipe().unwrap();
    let fd = AsyncFd::new(reader).unwrap();
    Subject {
        poll: Box::new(move |cx| poll(&fd, cx)),
        ready: Box::new(move || writer.write_all(b"hello").unwrap()),
    }
}

fn waiting_fd(wait: impl AsyncFnOnce(AsyncFd<PipeReader>) + 'static) -> Subject {
    let (reader, mut writer) = pipe().unwrap();
    future(wait(AsyncFd::new(reader).unwrap()), move || writer.write_all(b"hello").unwrap())
}

fn reading_fd(wait: impl AsyncFnOnce(AsyncFd<UnixStream>) + 'static) -> Subject {
    let (one, mut other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    future(wait(AsyncFd::new(one).unwrap()), move || other.write_all(b"hello").unwrap())
}
