//! How one thread's failure ends the others.
//!
//! The first failure is kept, and every loop is woken. Each looks at the sign whenever its main
//! future is polled, and then gives that future up. What fails later is of no interest: it is
//! dropped where it happened.

use super::error::CoreError;
use crate::runtime::unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// What all threads share.
pub(super) struct Stop<E> {
    raised: AtomicBool,
    state: Mutex<State<E>>,
}

struct State<E> {
    first: Option<CoreError<E>>,
    /// Those of the threads' `block_on`: numbers, whose clone and drop run nobody's code.
    wakers: Vec<Option<Waker>>,
}

impl<E> Stop<E> {
    pub(super) fn new(threads: usize) -> Stop<E> {
        let state = State { first: None, wakers: vec![None; threads] };
        Stop { raised: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// A thread has failed: the others are to end.
    pub(super) fn raise(&self, error: CoreError<E>) {
        let mut state = self.lock();
        if state.first.is_some() {
            drop(state);
            // The payload of a panic, or an error of the user's.
            return unwind::drop(error);
        }
        state.first = Some(error);
        // Before the wakers are taken: whoever leaves one later looks at this after that.
        self.raised.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Ready if the thread is to end; else `waker` is woken when it is. `is_known` keeps it from
    /// being left twice.
    fn poll(&self, index: usize, is_known: &mut bool, waker: &Waker) -> Poll<()> {
        if !*is_known {
            *is_known = true;
            if let Some(seat) = self.lock().wakers.get_mut(index) {
                *seat = Some(waker.clone());
            }
        }
        if self.raised.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The first failure, when all threads have ended.
    pub(super) fn into_first(self) -> Option<CoreError<E>> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).first
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<E>> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pin_project_lite::pin_project! {
    /// The output of a future, or `None` if the sign to stop is raised before.
    pub(super) struct UntilStopped<'a, F, E> {
        #[pin]
        future: F,
        stop: &'a Stop<E>,
        index: usize,
        is_known: bool,
    }
}

impl<'a, F, E> UntilStopped<'a, F, E> {
    pub(super) fn new(future: F, stop: &'a Stop<E>, index: usize) -> UntilStopped<'a, F, E> {
        UntilStopped { future, stop, index, is_known: false }
    }
}

impl<F: Future, E> Future for UntilStopped<'_, F, E> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.stop.poll(*this.index, this.is_known, cx.waker()).is_ready() {
            return Poll::Ready(None);
        }
        this.future.poll(cx).map(Some)
    }
}
