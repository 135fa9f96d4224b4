//! A channel between tasks of two threads, which consists of a mutex and a waker.

use super::checks::lock;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

pub(crate) struct Sender<T>(Arc<Mutex<State<T>>>);

pub(crate) struct Receiver<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    queue: VecDeque<T>,
    is_closed: bool,
    receiver: Option<Waker>,
}

pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let state = State { queue: VecDeque::new(), is_closed: false, receiver: None };
    let state = Arc::new(Mutex::new(state));
    (Sender(state.clone()), Receiver(state))
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, value: T) {
        self.change(|state| state.queue.push_back(value));
    }

    fn change(&self, change: impl FnOnce(&mut State<T>)) {
        let mut state = lock(&self.0);
        change(&mut state);
        let receiver = state.receiver.take();
        drop(state);
        receiver.into_iter().for_each(Waker::wake);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.change(|state| state.is_closed = true);
    }
}

impl<T> Receiver<T> {
    /// Receives a value. Returns `None` once the sender has been dropped.
    pub(crate) async fn receive(&self) -> Option<T> {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut state = lock(&self.0);
            if let Some(value) = state.queue.pop_front() {
                return Poll::Ready(Some(value));
            }
            if state.is_closed {
                return Poll::Ready(None);
            }
            state.receiver = Some(waker);
            Poll::Pending
        })
        .await
    }
}
