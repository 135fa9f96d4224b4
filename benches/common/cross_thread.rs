//! Workloads of wakes from another thread, into a loop that is asleep and into one that is busy.
//!
//! A [`Mailbox`] carries one letter at a time. The task waits for it with its waker left behind, as
//! any channel does; a second thread posts the next letter only when the task waits again, so every
//! letter is a wake. The floor waits for the same letters, with an eventfd or with a flag, in a
//! hand-made loop.

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

/// The posting thread's pauses, in which a loop without work goes to sleep.
const PAUSE: Duration = Duration::from_micros(50);

/// One letter at a time from another thread to a task.
#[derive(Default)]
struct Mailbox {
    posted: AtomicBool,
    awaited: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Mailbox {
    /// Waits for a letter.
    async fn receive(&self) {
        poll_fn(|cx| {
            if self.posted.swap(false, SeqCst) {
                return Poll::Ready(());
            }
            *self.lock() = Some(cx.waker().clone());
            self.awaited.store(true, SeqCst);
            Poll::Pending
        })
        .await;
    }

    /// Posts a letter once somebody waits for it, with `pause` between looks.
    fn deliver(&self, pause: fn()) {
        while !self.awaited.swap(false, SeqCst) {
            pause();
        }
        self.posted.store(true, SeqCst);
        let waker = self.lock().take();
        waker.expect("whoever waits has left a waker").wake();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.waker.lock().expect("nobody panics with the mailbox locked")
    }

    /// Starts a thread that posts `letters` letters, each when the loop has gone to sleep.
    fn post_slowly(self: &Arc<Self>, letters: usize) -> thread::JoinHandle<()> {
        self.post_from(CORE, letters, || thread::sleep(PAUSE))
    }

    /// Starts a thread that posts `letters` letters as fast as they are read.
    fn post_quickly(self: &Arc<Self>, letters: usize) -> thread::JoinHandle<()> {
        self.post_from(OTHER_CORE, letters, spin_loop)
    }

    fn post_from(self: &Arc<Self>, core: usize, letters: usize, pause: fn()) -> thread::JoinHandle<()> {
        let mailbox = Arc::clone(self);
        thread::spawn(move || {
            pin_to(core);
            for _ in 0..letters {
                pause();
                mailbox.deliver(pause);
            }
        })
    }

    async fn receive_all(&self, letters: usize) {
        for _ in 0..letters {
            self.receive().await;
        }
    }
}

/// Receives `letters` letters, each posted when the loop has gone to sleep.
pub(crate) async fn wake_asleep<C: Contender>(letters: usize) {
    let mailbox = Arc::new(Mailbox::default());
    let poster = mailbox.post_slowly(letters);
    C::spawn(async move { mailbox.receive_all(letters).await }).await;
    poster.join().expect("the posting thread panicked");
}

/// Receives `letters` letters as fast as they come, while another task keeps the loop busy.
pub(crate) async fn wake_busy<C: Contender>(letters: usize) {
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
    let poster = mailbox.post_quickly(letters);
    C::spawn(async move { mailbox.receive_all(letters).await }).await;
    done.store(true, SeqCst);
    busy.await;
    poster.join().expect("the posting thread panicked");
}

/// The floor of [`wake_asleep`]: one future, an eventfd, and an epoll to sleep in.
pub(crate) fn wake_asleep_floor(letters: usize) {
    let mailbox = Arc::new(Mailbox::default());
    let loop_waker = Arc::new(LoopWaker::new());
    let mut epoll = Epoll::new(8).expect("make an epoll");
    epoll.add(&loop_waker.fd, READABLE, 0).expect("register the eventfd");
    let waker = Waker::from(Arc::clone(&loop_waker));
    let mut cx = Context::from_waker(&waker);
    let poster = mailbox.post_slowly(letters);
    let mut receive = pin!(mailbox.receive_all(letters));
    while receive.as_mut().poll(&mut cx).is_pending() {
        while !loop_waker.is_woken.swap(false, SeqCst) {
            epoll.wait(-1).expect("wait for the eventfd");
        }
    }
    poster.join().expect("the posting thread panicked");
}

/// The floor of [`wake_busy`]: two futures in turn, one of them whenever its flag is up.
pub(crate) fn wake_busy_floor(letters: usize) {
    let mailbox = Arc::new(Mailbox::default());
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut cx = Context::from_waker(&waker);
    let mut busy: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async {
        loop {
            YieldOnce::default().await;
        }
    });
    let poster = mailbox.post_quickly(letters);
    let mut receive = pin!(mailbox.receive_all(letters));
    loop {
        if flag.0.swap(false, SeqCst) && receive.as_mut().poll(&mut cx).is_ready() {
            break;
        }
        assert!(busy.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    poster.join().expect("the posting thread panicked");
}

/// A waker that breaks a wait in epoll.
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

/// A waker for a loop that looks by itself.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}
