//! The members of a group: their join handles, and which of them have ended.
//!
//! A member is found by its key, an index with a generation. When its task ends, a [`Notice`] puts the key into the
//! queue of the group. The notice is dropped together with the future, which is a moment before the output is
//! available. On the thread of the task nothing runs in between, but a call on another thread may send its output
//! later. Then the key moves to the list of those that are late, and the handle wakes the group by itself.
//!
//! A key that is out of date, because its member was removed, is skipped. If it matches a later member by accident,
//! that counts as late as well, so nothing depends on the generation for correctness.

use super::queue::{Notice, Queue};
use crate::runtime::join::JoinHandle;
use crate::runtime::join::error::JoinError;
use crate::runtime::unwind;
use crate::task::coop;
use crate::task::{AbortHandle, Id};
use std::collections::VecDeque;
use std::pin::Pin;
use std::slice;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

/// The number of members from which on the memory of a group is freed once it is empty.
const KEPT: usize = 1024;

/// A member of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    index: u32,
    generation: u32,
}

/// The join handles of a group of tasks, each with a value `X`.
pub(super) struct Members<T, X> {
    queue: Arc<Queue>,
    entries: Vec<Entry<T, X>>,
    vacant: Vec<u32>,
    /// The keys that have been taken out of the queue.
    ended: VecDeque<Key>,
    /// The keys whose output was not available yet.
    late: Vec<Key>,
}

pub(super) struct Entry<T, X> {
    generation: u32,
    member: Option<(JoinHandle<T>, X)>,
}

/// A member that has been removed because its task has ended.
pub(super) struct Ended<T, X> {
    pub(super) key: Key,
    pub(super) id: Id,
    pub(super) result: Result<T, JoinError>,
    pub(super) value: X,
}

impl<T, X> Entry<T, X> {
    pub(super) fn member(&self) -> Option<&(JoinHandle<T>, X)> {
        self.member.as_ref()
    }
}

impl<T, X> Members<T, X> {
    pub(super) fn new() -> Members<T, X> {
        Members {
            queue: Arc::default(),
            entries: Vec::new(),
            vacant: Vec::new(),
            ended: VecDeque::new(),
            late: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.vacant.len()
    }

    /// Adds the task that `spawn` starts. The task owns the notice until it ends.
    #[inline]
    pub(super) fn insert(&mut self, value: X, spawn: impl FnOnce(Notice) -> JoinHandle<T>) -> Key {
        let index = self.vacant.last().map_or(self.entries.len(), |index| *index as usize);
        let generation = self.entries.get(index).map_or(0, |entry| entry.generation);
        let key = Key { index: index as u32, generation };
        // If this panics, nothing has changed.
        let handle = spawn(Notice::new(&self.queue, key));
        let member = Some((handle, value));
        if self.vacant.pop().is_some() {
            self.entries[index].member = member;
        } else {
            self.entries.push(Entry { generation, member });
        }
        key
    }

    /// Returns the abort handle of a member that exists.
    pub(super) fn abort_handle(&self, key: Key) -> AbortHandle {
        let (handle, _) = self.entry(key).expect("a member that was just inserted exists");
        handle.abort_handle()
    }

    pub(super) fn value(&self, key: Key) -> Option<&X> {
        self.entry(key).map(|(_, value)| value)
    }

    pub(super) fn value_mut(&mut self, key: Key) -> Option<&mut X> {
        self.entry_mut(key).map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(JoinHandle<T>, X)> {
        self.entries.iter().filter_map(Entry::member)
    }

    pub(super) fn entries(&self) -> slice::Iter<'_, Entry<T, X>> {
        self.entries.iter()
    }

    /// Aborts a member. Returns `false` if there is no such member.
    pub(super) fn abort(&self, key: Key) -> bool {
        self.entry(key).map(|(handle, _)| handle.abort()).is_some()
    }

    pub(super) fn abort_all(&self) {
        self.iter().for_each(|(handle, _)| handle.abort());
    }

    /// Removes all members, whose tasks continue to run.
    pub(super) fn detach_all(&mut self) {
        self.vacant.clear();
        self.ended.clear();
        self.late.clear();
        // Tasks that do not belong to the group any more must not wake it.
        self.queue = Arc::default();
        drop_entries(std::mem::take(&mut self.entries));
    }

    /// Removes a member, if it exists.
    pub(super) fn remove(&mut self, key: Key) -> Option<(JoinHandle<T>, X)> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        let member = entry.member.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.vacant.push(key.index);
        if self.vacant.len() == self.entries.len() && self.entries.capacity() > KEPT {
            (self.entries, self.vacant) = (Vec::new(), Vec::new());
        }
        Some(member)
    }

    /// Waits for the next member that ends, and removes it. Returns `None` if there is no member.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Ended<T, X>>> {
        ready!(coop::poll_budget(cx));
        if self.len() == 0 {
            coop::spend();
            return Poll::Ready(None);
        }
        if !self.late.is_empty()
            && let Some(ended) = self.take_late(Some(cx))
        {
            return Poll::Ready(Some(ended));
        }
        loop {
            if let Some(ended) = self.take_ended(Some(cx)) {
                return Poll::Ready(Some(ended));
            }
            if !self.queue.take_or_wait(&mut self.ended, cx.waker()) {
                return Poll::Pending;
            }
        }
    }

    /// Removes a member that has ended, if there is one. This spends no budget that could be missing, since the caller
    /// cannot wait.
    pub(super) fn try_next(&mut self) -> Option<Ended<T, X>> {
        loop {
            if let Some(ended) = self.take_late(None).or_else(|| self.take_ended(None)) {
                return Some(ended);
            }
            if !self.queue.take(&mut self.ended) {
                return None;
            }
        }
    }

    /// Removes the next member whose key has been taken out of the queue. Without a context, the waker that awaits a
    /// late member stays in place.
    fn take_ended(&mut self, mut cx: Option<&mut Context<'_>>) -> Option<Ended<T, X>> {
        loop {
            let key = *self.ended.front()?;
            let polled = self.poll_member(key, cx.as_deref_mut());
            // Removed afterwards, since the poll panics on a wrong thread.
            self.ended.pop_front();
            match polled {
                Some(Poll::Ready(result)) => return self.end(key, result),
                Some(Poll::Pending) => self.late.push(key),
                None => {}
            }
        }
    }

    /// Removes a member that was late and has ended by now.
    #[cold]
    fn take_late(&mut self, mut cx: Option<&mut Context<'_>>) -> Option<Ended<T, X>> {
        let mut index = 0;
        while let Some(&key) = self.late.get(index) {
            let polled = self.poll_member(key, cx.as_deref_mut());
            if matches!(polled, Some(Poll::Pending)) {
                index += 1;
                continue;
            }
            self.late.swap_remove(index);
            if let Some(Poll::Ready(result)) = polled {
                return self.end(key, result);
            }
        }
        None
    }

    fn poll_member(&mut self, key: Key, cx: Option<&mut Context<'_>>) -> Option<Poll<Result<T, JoinError>>> {
        let (handle, _) = self.entry_mut(key)?;
        match cx {
            Some(cx) => Some(handle.poll_result(cx)),
            None if handle.is_finished() => Some(handle.poll_result(&mut Context::from_waker(Waker::noop()))),
            None => Some(Poll::Pending),
        }
    }

    fn end(&mut self, key: Key, result: Result<T, JoinError>) -> Option<Ended<T, X>> {
        let (handle, value) = self.remove(key)?;
        Some(Ended { key, id: handle.id(), result, value })
    }

    fn entry(&self, key: Key) -> Option<&(JoinHandle<T>, X)> {
        let entry = self.entries.get(key.index as usize)?;
        if entry.generation == key.generation { entry.member.as_ref() } else { None }
    }

    fn entry_mut(&mut self, key: Key) -> Option<&mut (JoinHandle<T>, X)> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation == key.generation { entry.member.as_mut() } else { None }
    }
}

/// The tasks of a group that is dropped are aborted.
impl<T, X> Drop for Members<T, X> {
    fn drop(&mut self) {
        self.abort_all();
        drop_entries(std::mem::take(&mut self.entries));
    }
}

/// Drops the members of a group that is gone. Their values are the user's, and may panic in their drop.
fn drop_entries<T, X>(entries: Vec<Entry<T, X>>) {
    for (handle, value) in entries.into_iter().filter_map(|entry| entry.member) {
        drop(handle);
        unwind::drop(value);
    }
}

pin_project_lite::pin_project! {
    /// The future of a member. It is dropped before its notice.
    pub(super) struct Member<F> {
        #[pin]
        future: F,
        notice: Notice,
    }
}

impl<F> Member<F> {
    pub(super) fn new(future: F, notice: Notice) -> Member<F> {
        Member { future, notice }
    }
}

impl<F: Future> Future for Member<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

/// Returns a blocking call that drops its notice when it returns or panics.
pub(super) fn member_call<T>(call: impl FnOnce() -> T, notice: Notice) -> impl FnOnce() -> T {
    move || {
        let _notice = notice;
        call()
    }
}
