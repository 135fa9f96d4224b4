//! Which runtime a descriptor is registered with.
//!
//! It *binds* to the runtime on whose thread it first has to wait: until then operations are simply
//! tried, so that sockets can be made anywhere, and one that is ready at once costs no
//! registration. Used on another runtime's thread later on, it moves there. The registration is an
//! id in atomic words, so that the owner is `Send` and `Sync`; to read it is a plain load.
//!
//! A descriptor may be handed from one runtime to the next as often as one likes. Two runtimes that wait for it
//! at once would take it from each other for ever. A move that answers the loss of the descriptor, see
//! `contention.rs`, is counted, and past [`MAX_ANSWERS`] of them in a row the one that comes
//! gets an error. The other goes on waiting: whoever loses the registration is woken, tries
//! again, and sees the new state of things. No wake is lost.

use super::id::{Id, RuntimeId, SourceId};
use super::known::{Knowledge, Known};
use super::reactor::{Direction, Source};
use super::{context, remote};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often in a row a descriptor may be taken back by a wait that has just lost it. A task that is handed a
/// descriptor just when its loop hears of the loss, and has waited for it before, looks like one that has waited all
/// the time; but that is seldom so several times in a row. Each move is a wake of another thread.
const MAX_ANSWERS: u16 = 32;

/// Whose source a descriptor is. To be dropped before the descriptor is closed.
pub(crate) struct Binding {
    /// An [`Id`]'s bits; zero while unbound.
    id: AtomicU64,
    /// Its [`RuntimeId`]'s bits. Written after `id`, and read before it: so whoever finds the runtime of the
    /// present registration finds its id as well.
    runtime: AtomicU64,
    knowledge: Knowledge,
    /// Held while the registration changes.
    state: Mutex<State>,
}

struct State {
    /// The descriptor's number when it was registered last.
    fd: RawFd,
    /// How often the registration has moved from one runtime to another. It wraps.
    moves: u16,
    /// How many moves in a row were answers to a loss.
    answers: u16,
}

impl Binding {
    /// Of a descriptor that is not registered yet.
    pub(crate) fn new(fd: RawFd) -> Binding {
        Binding {
            id: AtomicU64::new(SourceId::NONE.id.bits()),
            runtime: AtomicU64::new(SourceId::NONE.runtime.bits()),
            knowledge: Knowledge::default(),
            state: Mutex::new(State { fd, moves: 0, answers: 0 }),
        }
    }

    /// Returns the source that the descriptor is, in whichever runtime.
    #[inline]
    pub(crate) fn id(&self) -> SourceId {
        let source = self.load();
        // Careful: between the two words there may have been a move. The one would name another source in the
        // runtime that is named by the other.
        if source.id.runtime() == source.runtime.number() { source } else { self.id_after_move() }
    }

    #[inline]
    fn load(&self) -> SourceId {
        let runtime = RuntimeId::from_bits(self.runtime.load(Ordering::Acquire));
        SourceId { id: Id::from_bits(self.id.load(Ordering::Relaxed)), runtime }
    }

    /// Waits for the move that is under way.
    #[cold]
    fn id_after_move(&self) -> SourceId {
        let _state = self.lock();
        self.load()
    }

    /// What is known of that source.
    #[inline]
    pub(crate) fn known(&self, id: SourceId) -> Known {
        self.knowledge.of(id.id)
    }

    /// Keeps what is known now. Only to be called where the source is, or if nobody watches it.
    #[inline]
    pub(crate) fn learn(&self, known: Known) {
        self.knowledge.set(known);
    }

    /// Binds to the runtime on this thread, taking the descriptor from the one of `earlier`, if any, on
    /// behalf of one who is about to wait for `direction`, if any.
    #[cold]
    pub(crate) fn bind(
        &self,
        fd: BorrowedFd<'_>,
        earlier: SourceId,
        direction: Option<Direction>,
    ) -> io::Result<SourceId> {
        let (id, earlier_fd, moves) = context::with(|context| {
            let mut state = self.lock();
            if self.load() != earlier {
                // Another thread was first.
                return Err(in_use());
            }
            let is_answer = context.losses.borrow_mut().take(fd.as_raw_fd(), &context.tasks.borrow());
            // A runtime that has been dropped waits for nothing.
            let has_rival = !earlier.is_none() && remote::find(earlier.runtime).is_some();
            state.answers = if has_rival && is_answer { state.answers + 1 } else { 0 };
            if state.answers > MAX_ANSWERS {
                state.answers = 0;
                return Err(in_use());
            }
            let registered = context.reactor.borrow_mut().register(fd, direction);
            let id = registered.map_err(|error| match error.kind() {
                // The rival is just about to take it out of here.
                io::ErrorKind::AlreadyExists if has_rival => in_use(),
                _ => error,
            })?;
            self.knowledge.reset(id);
            self.id.store(id.bits(), Ordering::Relaxed);
            self.runtime.store(context.id.bits(), Ordering::Release);
            if has_rival {
                state.moves = state.moves.wrapping_add(1);
                context.losses.borrow_mut().arrived(fd.as_raw_fd(), state.moves);
            }
            let id = SourceId { id, runtime: context.id };
            Ok((id, std::mem::replace(&mut state.fd, fd.as_raw_fd()), state.moves))
        })?;
        release(earlier, earlier_fd, moves, Source::wake);
        Ok(id)
    }

    /// Gives the registration up, while the descriptor is still open. Whoever has left a waker is
    /// woken, to leave it with the next registration.
    pub(crate) fn unbind(&mut self) {
        self.release(Source::wake);
    }

    fn release(&mut self, finish: fn(Source)) {
        let earlier = self.id();
        *self.id.get_mut() = SourceId::NONE.id.bits();
        *self.runtime.get_mut() = SourceId::NONE.runtime.bits();
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.answers = 0;
        release(earlier, state.fd, state.moves, finish);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_use() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "two runtimes wait for this descriptor at once: use it on one thread at a time",
    )
}

impl Drop for Binding {
    fn drop(&mut self) {
        // Nobody can wait for a descriptor whose owner is dropped; wakers left by earlier, cancelled
        // calls are dropped with it.
        self.release(drop);
    }
}

/// Deregisters a descriptor, which is still open, from the runtime it is bound to, and does with
/// the wakers left there what `finish` says. That is user code, and runs under no borrow. `moves` is the number of the
/// latest move.
fn release(id: SourceId, fd: RawFd, moves: u16, finish: fn(Source)) {
    if id.is_none() {
        return;
    }
    match context::local(id.runtime) {
        Some(context) => {
            let source = context.reactor.borrow_mut().deregister(id.id);
            context.losses.borrow_mut().departed(fd);
            source.map(finish);
        }
        None => release_remotely(id, fd, moves, finish),
    }
}

#[cold]
fn release_remotely(id: SourceId, fd: RawFd, moves: u16, finish: fn(Source)) {
    if let Some(remote) = remote::find(id.runtime) {
        remote.deregister(fd);
        context::call_on(id.runtime, move |context| {
            let Some(source) = context.reactor.borrow_mut().forget(id.id) else { return };
            let queued = context.tasks.borrow().queued();
            let is_awaited = source.is_awaited();
            finish(source);
            // A task that was queued already was woken for another reason: it may have been handed the descriptor.
            let has_woken = is_awaited && context.tasks.borrow().queued() != queued;
            context.losses.borrow_mut().lost(fd, moves, has_woken, &context.tasks.borrow());
        });
    }
}

impl Source {
    /// Wakes whoever waits, so that they find out what has become of the descriptor.
    fn wake(mut self) {
        let mut wakers = Vec::new();
        self.take_wakers(&mut wakers);
        wakers.into_iter().for_each(super::waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn the_id_of_one_runtime_is_not_taken_for_one_of_another_during_a_move() {
        let binding = Binding::new(-1);
        let sources =
            [1, 2].map(|number| SourceId { id: Id::new(number, 5, 7), runtime: RuntimeId::new(number, 0) });
        let set_runtime = |source: SourceId| binding.runtime.store(source.runtime.bits(), Ordering::Release);
        let set_id = |source: SourceId| binding.id.store(source.id.bits(), Ordering::Relaxed);
        set_id(sources[0]);
        set_runtime(sources[0]);
        assert!(binding.id() == sources[0]);
        std::thread::scope(|scope| {
            let (begin, begun) = channel();
            let moving = binding.lock();
            set_id(sources[1]);
            let binding = &binding;
            let reading = scope.spawn(move || {
                begin.send(()).unwrap();
                binding.id()
            });
            begun.recv().unwrap();
            // It has time to see the one without the other.
            (0..1000).for_each(|_| std::thread::yield_now());
            set_runtime(sources[1]);
            drop(moving);
            assert!(reading.join().unwrap() == sources[1]);
        });
        // There is none to release.
        binding.id.store(0, Ordering::Relaxed);
    }
}
