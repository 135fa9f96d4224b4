//! Workloads of wakes from another thread, into a loop that sleeps and into one that is busy.
//!
//! A [`Mailbox`] carries one message at a time. The task waits for it after it has left its waker, as with any
//! channel. A second thread sends the next message only when the task waits again, so every message is a wake. The
//! floor waits for the same messages with an eventfd or with a flag, in a hand-written loop.

use std::future::{Future, poll_fn};
use std::hint::spin_loop;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use super::contender::Contender;
use super::epoll::{Epoll, EventFd, READABLE};
use super::floor::YieldOnce;
use super::system::{CORE, OTHER_CORE, pin_to};

/// The pauses of the sending thread, in which a loop without work goes to sleep.
const PAUSE: Duration = Duration::from_micros(50);

/// Carries one message at a time from another thread to a task.
#[derive(Default)]
struct Mailbox {
    sent: AtomicBool,
    awaited: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Mailbox {
    /// Waits for a message.
    async fn receive(&self) {
        poll_fn(|cx| {
            if self.sent.swap(false, SeqCst) {
                return Poll::Ready(());
            }
            *self.lock() = Some(cx.waker().clone());
            self.awaited.store(true, SeqCst);
            Poll::Pending
        })
        .await;
    }

    /// Sends a message once a task waits for it, with `pause` between two checks.
    fn send(&self, pause: fn()) {
        while !self.awaited.swap(false, SeqCst) {
            pause();
        }
        self.sent.store(true, SeqCst);
        let waker = self.lock().take();
        waker.expect("a task that waits has left its waker").wake();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.waker.lock().expect("no thread panics with the mailbox locked")
    }

    /// Starts a thread that sends `messages` messages, each when the loop has gone to sleep.
    fn send_slowly(self: &Arc<Self>, messages: usize) -> thread::JoinHandle<()> {
        self.send_from(CORE, messages, || thread::sleep(PAUSE))
    }

    /// Starts a thread that sends `messages` messages as fast as they are read.
    fn send_quickly(self: &Arc<Self>, messages: usize) -> thread::JoinHandle<()> {
        self.send_from(OTHER_CORE, messages, spin_loop)
    }

    fn send_from(self: &Arc<Self>, core: usize, messages: usize, pause: fn()) -> thread::JoinHandle<()> {
        let mailbox = Arc::clone(self);
        thread::spawn(move || {
            pin_to(core);
            for _ in 0..messages {
                pause();
                mailbox.send(pause);
            }
        })
    }

    async fn receive_all(&self, messages: usize) {
        for _ in 0..messages {
            self.receive().await;
        }
    }
}

/// Receives `messages` messages, each sent when the loop has gone to sleep.
pub(crate) async fn wake_asleep<C: Contender>(messages: usize) {
    let mailbox = Arc::new(Mailbox::default());
    let sender = mailbox.send_slowly(messages);
    C::spawn(async move { mailbox.receive_all(messages).await }).await;
    sender.join().expect("the sending thread panicked");
}

/// Receives `messages` messages as fast as they come, while another task keeps the loop busy.
pub(crate) async fn wake_busy<C: Contender>(messages: usize) {
    let mailbox = Arc::new(Mailbox::default());
    let done = Arc::new(AtomicBool::new(false));
    let busy = C::spawn({
        let done = Arc::clone(&done);
        async move {
            while !done.load(SeqCst) {
                YieldOnce::default().await;
            }
        }
    });
    let sender = mailbox.send_quickly(messages);
    C::spawn(async move { mailbox.receive_all(messages).await }).await;
    done.store(true, SeqCst);
    busy.await;
    sender.join().expect("the sending thread panicked");
}

/// The floor of [`wake_asleep`]: one future, an eventfd, and an epoll to sleep in.
pub(crate) fn wake_asleep_floor(messages: usize) {
    let mailbox = Arc::new(Mailbox::default());
    let loop_waker = Arc::new(LoopWaker::new());
    let mut epoll = Epoll::new(8).expect("make an epoll");
    epoll.add(&loop_waker.fd, READABLE, 0).expect("register the eventfd");
    let waker = Waker::from(Arc::clone(&loop_waker));
    let mut cx = Context::from_waker(&waker);
    let sender = mailbox.send_slowly(messages);
    let mut receive = pin!(mailbox.receive_all(messages));
    while receive.as_mut().poll(&mut cx).is_pending() {
        while !loop_waker.is_woken.swap(false, SeqCst) {
            epoll.wait(-1).expect("wait for the eventfd");
        }
    }
    sender.join().expect("the sending thread panicked");
}

/// The floor of [`wake_busy`]: two futures are polled in turn, one of them whenever its flag is set.
pub(crate) fn wake_busy_floor(messages: usize) {
    let mailbox = Arc::new(Mailbox::default());
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut cx = Context::from_waker(&waker);
    let mut busy: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async {
        loop {
            YieldOnce::default().await;
        }
    });
    let sender = mailbox.send_quickly(messages);
    let mut receive = pin!(mailbox.receive_all(messages));
    loop {
        if flag.0.swap(false, SeqCst) && receive.as_mut().poll(&mut cx).is_ready() {
            break;
        }
        assert!(busy.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    sender.join().expect("the sending thread panicked");
}

/// A waker that ends a wait in epoll.
struct LoopWaker {
    is_woken: AtomicBool,
    fd: EventFd,
}

impl LoopWaker {
    fn new() -> LoopWaker {
        LoopWaker { is_woken: AtomicBool::new(false), fd: EventFd::new().expect("make an eventfd") }
    }
}

impl Wake for LoopWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, SeqCst) {
            self.fd.signal().expect("signal the eventfd");
        }
    }
}

/// A waker for a loop that checks the flag itself.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}
