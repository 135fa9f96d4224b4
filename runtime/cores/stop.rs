//! The stop signal: how the failure of one thread ends the others.
//!
//! The first failure is kept, and every loop is woken. Each main future checks the signal whenever it is polled, and
//! is dropped if the signal has been given. Later failures are dropped on the threads where they happened.

use super::error::CoreError;
use crate::runtime::unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// The state that all threads share.
pub(super) struct Stop<E> {
    raised: AtomicBool,
    state: Mutex<State<E>>,
}

struct State<E> {
    first: Option<CoreError<E>>,
    /// The wakers of the threads' `block_on` calls. They are ids, so cloning and dropping them runs no user code.
    wakers: Vec<Option<Waker>>,
}

impl<E> Stop<E> {
    pub(super) fn new(threads: usize) -> Stop<E> {
        let state = State { first: None, wakers: vec![None; threads] };
        Stop { raised: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Notes that a thread has failed, and wakes the other threads so that they end.
    pub(super) fn raise(&self, error: CoreError<E>) {
        let mut state = self.lock();
        if state.first.is_some() {
            drop(state);
            // The payload of the panic, or the user's error: dropping either may run user code.
            return unwind::drop(error);
        }
        state.first = Some(error);
        // Stored before the wakers are taken: a thread that leaves its waker later checks this flag after that.
        self.raised.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Returns `Ready` if the thread has to end. Otherwise `waker` is woken when it has to. `is_registered` keeps the
    /// waker from being left twice.
    fn poll(&self, index: usize, is_registered: &mut bool, waker: &Waker) -> Poll<()> {
        if !*is_registered {
            *is_registered = true;
            if let Some(place) = self.lock().wakers.get_mut(index) {
                *place = Some(waker.clone());
            }
        }
        if self.raised.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Returns the first failure. Called when all threads have ended.
    pub(super) fn into_first(self) -> Option<CoreError<E>> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).first
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<E>> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pin_project_lite::pin_project! {
    /// A future that resolves to the output of another future, or to `None` if the stop signal is given first.
    pub(super) struct UntilStopped<'a, F, E> {
        #[pin]
        future: F,
        stop: &'a Stop<E>,
        index: usize,
        is_registered: bool,
    }
}

impl<'a, F, E> UntilStopped<'a, F, E> {
    pub(super) fn new(future: F, stop: &'a Stop<E>, index: usize) -> UntilStopped<'a, F, E> {
        UntilStopped { future, stop, index, is_registered: false }
    }
}

impl<F: Future, E> Future for UntilStopped<'_, F, E> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.stop.poll(*this.index, this.is_registered, cx.waker()).is_ready() {
            return Poll::Ready(None);
        }
        this.future.poll(cx).map(Some)
    }
}
