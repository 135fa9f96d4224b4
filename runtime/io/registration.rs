//! The runtime with which a descriptor is registered.
//!
//! A descriptor *binds* to the runtime on whose thread an operation first has to wait. Until then operations
//! are simply tried. So sockets can be created anywhere, and a socket that is ready at once costs no source.
//! If the descriptor is used on the thread of another runtime later, it moves to that runtime.
//!
//! A descriptor may be handed from one runtime to the next any number of times. If a runtime loses a descriptor for
//! which it still waits, it takes the descriptor back. That is an *answer* to the loss, see `contention.rs`. It means
//! that two runtimes wait for the descriptor at once, and would take it from each other forever. So the first answer
//! splits the descriptor: the runtime that answers watches the direction that it waits for, and the other runtime keeps
//! the other direction. This is enough for the halves of a stream on two threads. When one runtime comes to wait for
//! both directions, the descriptor has one registration again.
//!
//! Two runtimes that wait for the same direction continue to take it from each other. After [`MAX_ANSWERS`]
//! clear answers in a row, the runtime that would answer next gets an error instead, and the other one continues to
//! wait. No wake is lost: a task whose runtime loses a registration is woken, tries again, and sees the new
//! state.
//!
//! ```text
//!            bind                  answer                        bind the former there
//!  unbound ───────► whole, here ──────────► one direction here, ───────────────────────► whole, there
//!                     ▲    │ bind           the other one there
//!                     └────┘ elsewhere
//! ```

use crate::runtime::context;
use crate::runtime::context::Context;
use crate::runtime::id::SourceId;
use crate::runtime::io::contention::Answer;
use crate::runtime::io::reactor::{Direction, Source};
use crate::runtime::io::source_cell::{Sides, SourceCell};
use crate::runtime::remote;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The maximum number of clear answers in a row. It is more than one because a descriptor may also be handed over without a
/// wake from another thread, for example by a message on a socket, at the moment when the loop of the receiving task
/// learns that it has lost the descriptor. If the task had waited for it before, it looks as if it had waited all the
/// time. That rarely happens several times in a row. Each move costs a wake of another thread.
const MAX_ANSWERS: u16 = 32;

/// The registration of a descriptor. It must be dropped before the descriptor is closed, and so must its
/// [`Sides`].
pub(crate) struct Registration {
    /// The source for both directions, unless the descriptor is split.
    whole: SourceCell,
    /// Locked while the registration changes.
    state: Mutex<State>,
}

struct State {
    /// The number of the descriptor at its latest registration.
    fd: RawFd,
    /// The number of moves of the registration from one runtime to another. It wraps.
    moves: u16,
    /// The number of latest moves in a row that were clear answers to a loss.
    answers: u16,
}

/// The result of a move.
struct Moved {
    id: SourceId,
    /// True if both directions have moved.
    moves_both: bool,
    left: Left,
}

impl Registration {
    /// Creates the registration of a descriptor that is not registered yet.
    pub(crate) fn new(fd: RawFd) -> Registration {
        Registration { whole: SourceCell::none(), state: Mutex::new(State { fd, moves: 0, answers: 0 }) }
    }

    /// Returns the cell for both directions, which may be [split](SourceCell::is_split).
    #[inline]
    pub(crate) fn whole(&self) -> &SourceCell {
        &self.whole
    }

    /// Returns the source of the descriptor in its runtime, from the cell for both directions or from that of one
    /// direction.
    #[inline]
    pub(crate) fn id(&self, cell: &SourceCell) -> SourceId {
        let source = cell.load();
        // Careful: the descriptor may have moved between the reads of the two words. The id of one runtime
        // would then name an unrelated source in the other runtime.
        if source.id.runtime() == source.runtime.number() { source } else { self.id_after_move(cell) }
    }

    /// Waits until the move in progress is done, and returns the source.
    #[cold]
    fn id_after_move(&self, cell: &SourceCell) -> SourceId {
        let _state = self.lock();
        cell.load()
    }

    /// Binds a descriptor that is not registered to the runtime on this thread, for a caller that is about to
    /// wait for `direction`, if any. `changes` is called before any other thread can see the new source, and
    /// must not run user code.
    ///
    /// Returns `None` if another thread has registered it first.
    #[cold]
    pub(crate) fn register_first(
        &self,
        fd: BorrowedFd<'_>,
        direction: Option<Direction>,
        changes: impl FnOnce(),
    ) -> io::Result<Option<SourceId>> {
        context::with(|context| {
            let mut state = self.lock();
            if !self.whole.load().is_none() {
                return Ok(None);
            }
            context.losses.borrow_mut().take(fd.as_raw_fd(), &context.tasks.borrow());
            let id = context.reactor.borrow_mut().register(fd, direction)?;
            let id = SourceId { id, runtime: context.id };
            self.whole.set(id);
            (state.fd, state.answers) = (fd.as_raw_fd(), 0);
            changes();
            Ok(Some(id))
        })
    }

    /// Binds to the runtime on this thread, for a caller that is about to wait for `direction`, if any. The descriptor
    /// is taken from the runtime of `earlier`, if any. `sides` returns the cells of the two directions, which are used
    /// once the descriptor is split. `changes` is called before any other thread can see the new source, with `true` if
    /// both directions move. It must not run user code.
    ///
    /// Returns `None` if another thread has changed the registration first, so that `earlier` is out of date.
    #[cold]
    pub(crate) fn register<'a>(
        &self,
        fd: BorrowedFd<'_>,
        earlier: SourceId,
        direction: Option<Direction>,
        sides: impl Fn() -> &'a Sides,
        changes: impl FnOnce(bool),
    ) -> io::Result<Option<SourceId>> {
        let registered = context::with(|context| {
            let mut state = self.lock();
            let is_split = self.whole.is_split();
            let split = match direction {
                Some(direction) if is_split => Some((direction, sides())),
                _ => None,
            };
            let present = split.map_or(&self.whole, |(direction, sides)| sides.of(direction));
            if present.load() != earlier {
                return Ok(None);
            }
            let answer = context.losses.borrow_mut().take(fd.as_raw_fd(), &context.tasks.borrow());
            // A runtime that has been dropped does not wait for anything.
            let earlier_is_alive = !earlier.is_none() && remote::find(earlier.runtime).is_some();
            let is_contended = earlier_is_alive && answer != Answer::No;
            // Messages that have not been read yet may wake a task that is handed the descriptor.
            let is_clear = is_contended && answer == Answer::Clear && !context.remote.has_messages();
            state.answers = if is_clear { state.answers + 1 } else { 0 };
            if state.answers > MAX_ANSWERS {
                state.answers = 0;
                return Err(in_use());
            }
            let moving =
                Moving { registration: self, context, state: &mut state, fd, earlier, earlier_is_alive };
            let Moved { id, moves_both, left } = match (split, direction) {
                (Some((direction, sides)), _) => moving.side(direction, sides),
                (None, Some(direction)) if is_contended => moving.split(direction, sides()),
                (None, direction) => moving.whole(direction),
            }?;
            changes(moves_both);
            Ok(Some((id, left)))
        })?;
        Ok(registered.map(|(id, left)| {
            left.finish(Source::wake);
            id
        }))
    }

    /// Binds a descriptor that is not registered to a source that its runtime has made for it. Returns false if the
    /// descriptor has been registered in the meantime.
    pub(crate) fn adopt(&self, source: SourceId, fd: RawFd) -> bool {
        let mut state = self.lock();
        let is_vacant = self.whole.load().is_none();
        if is_vacant {
            self.whole.set(source);
            (state.fd, state.answers) = (fd, 0);
        }
        is_vacant
    }

    /// Deregisters the descriptor, which must still be open. Tasks that have left a waker are woken, so that
    /// they leave it with the next source.
    pub(crate) fn deregister(&mut self, sides: Option<&mut Sides>) {
        if let Some(sides) = sides {
            sides.release(Source::wake);
        }
        self.release(Source::wake);
    }

    fn release(&mut self, finish: fn(Source)) {
        let earlier = self.whole.take();
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.answers = 0;
        give_up(earlier, state.fd, state.moves).finish(finish);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deregisters a descriptor, which must still be open, from a source that was not [adopted](Registration::adopt). The
/// wakers in it are dropped.
pub(crate) fn give_back(source: SourceId, fd: RawFd) {
    give_up(source, fd, 0).finish(Source::discard);
}

fn in_use() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "two runtimes wait for the same direction of this descriptor at once: read it on one thread, and write it \
         on one thread",
    )
}

impl Drop for Registration {
    fn drop(&mut self) {
        // No task can wait for a descriptor whose owner is being dropped. Wakers that cancelled calls have left are
        // dropped with the source.
        self.release(Source::discard);
    }
}

impl Sides {
    fn release(&mut self, finish: fn(Source)) {
        let (ids, fd, moves) = self.take();
        for id in ids {
            give_up(id, fd, moves).finish(finish);
        }
    }
}

impl Drop for Sides {
    fn drop(&mut self) {
        self.release(Source::discard);
    }
}

/// A registration that is about to change, with its lock held.
struct Moving<'a> {
    registration: &'a Registration,
    context: &'a Context,
    state: &'a mut State,
    fd: BorrowedFd<'a>,
    earlier: SourceId,
    earlier_is_alive: bool,
}

impl Moving<'_> {
    /// Moves both directions here.
    fn whole(mut self, direction: Option<Direction>) -> io::Result<Moved> {
        let id = self.context.reactor.borrow_mut().register(self.fd, direction)?;
        let id = SourceId { id, runtime: self.context.id };
        self.registration.whole.set(id);
        let left = self.arrive();
        Ok(Moved { id, moves_both: true, left })
    }

    /// Moves one direction here. The other direction stays where both were.
    fn split(mut self, direction: Direction, sides: &Sides) -> io::Result<Moved> {
        let id = self.context.reactor.borrow_mut().register_side(self.fd, direction)?;
        let id = SourceId { id, runtime: self.context.id };
        sides.of(direction).set(id);
        sides.of(direction.other()).set(self.earlier);
        self.registration.whole.set(SourceId::SPLIT);
        self.count_move();
        sides.note(self.state.fd, self.state.moves);
        let left = Left::Side { id: self.earlier, direction, fd: self.state.fd, moves: self.state.moves };
        Ok(Moved { id, moves_both: false, left })
    }

    /// Moves one direction of a split descriptor here. If the other direction is here already, both share one source
    /// again.
    fn side(mut self, direction: Direction, sides: &Sides) -> io::Result<Moved> {
        let other = sides.of(direction.other()).load();
        let id = if other.runtime == self.context.id {
            sides.of(direction).set(SourceId::NONE);
            sides.of(direction.other()).set(SourceId::NONE);
            self.registration.whole.set(other);
            other
        } else {
            let id = self.context.reactor.borrow_mut().register_side(self.fd, direction)?;
            let id = SourceId { id, runtime: self.context.id };
            sides.of(direction).set(id);
            id
        };
        let left = self.arrive();
        sides.note(self.state.fd, self.state.moves);
        Ok(Moved { id, moves_both: false, left })
    }

    /// Deregisters the descriptor from the runtime where it was registered before. This is done under the lock, so that
    /// the descriptor can be registered there again as soon as the lock is free.
    fn arrive(&mut self) -> Left {
        let earlier_fd = self.count_move();
        give_up(self.earlier, earlier_fd, self.state.moves)
    }

    /// Counts a move. Returns the number that the descriptor had before.
    fn count_move(&mut self) -> RawFd {
        let fd = self.fd.as_raw_fd();
        if self.earlier_is_alive {
            self.state.moves = self.state.moves.wrapping_add(1);
            self.context.losses.borrow_mut().arrived(fd, self.state.moves);
        }
        std::mem::replace(&mut self.state.fd, fd)
    }
}

/// The remaining work for a registration that has been given up. It is done under no lock and no borrow,
/// because the wakers are user code.
enum Left {
    Nothing,
    /// The source belonged to a runtime of this thread.
    Here(Rc<Context>, Option<Source>),
    /// The source belongs to a runtime of another thread, whose loop has not freed it yet.
    Remote {
        id: SourceId,
        fd: RawFd,
        moves: u16,
    },
    /// Only one direction was given up. The other one stays registered.
    Side {
        id: SourceId,
        direction: Direction,
        fd: RawFd,
        moves: u16,
    },
}

/// Deregisters a descriptor, which must still be open, from its runtime. `moves` is the number of the latest
/// move.
fn give_up(id: SourceId, fd: RawFd, moves: u16) -> Left {
    if id.is_none() || id.is_split() {
        return Left::Nothing;
    }
    match context::local(id.runtime) {
        Some(context) => {
            let source = context.reactor.borrow_mut().deregister(id.id);
            context.losses.borrow_mut().departed(fd);
            Left::Here(context, source)
        }
        None => deregister_remotely(id, fd, moves),
    }
}

#[cold]
fn deregister_remotely(id: SourceId, fd: RawFd, moves: u16) -> Left {
    match remote::find(id.runtime) {
        Some(remote) => {
            remote.deregister(fd);
            Left::Remote { id, fd, moves }
        }
        None => Left::Nothing,
    }
}

impl Left {
    /// Does the remaining work. `finish` is called with the source.
    fn finish(self, finish: fn(Source)) {
        match self {
            Left::Nothing => {}
            Left::Here(context, source) => {
                // The wakers may drop the context, so it is kept until they have run.
                source.map(finish);
                drop(context);
            }
            Left::Remote { id, fd, moves } => {
                context::call_on(id.runtime, move |context| {
                    let Some(source) = context.reactor.borrow_mut().forget(id.id) else { return };
                    lose(context, fd, moves, source.is_awaited(), || finish(source));
                });
            }
            Left::Side { id, direction, fd, moves } => {
                context::call_on(id.runtime, move |context| {
                    let mut wakers = Vec::new();
                    let is_awaited = context.reactor.borrow_mut().give_up(id.id, direction, &mut wakers);
                    let wake = || wakers.into_iter().for_each(crate::runtime::waker::wake);
                    lose(context, fd, moves, is_awaited, wake);
                });
            }
        }
    }
}

/// Wakes the tasks that waited for a descriptor which a runtime has lost, and records whether any task was woken.
fn lose(context: &Context, fd: RawFd, moves: u16, is_awaited: bool, wake: impl FnOnce()) {
    let queued = context.tasks.borrow().queued();
    wake();
    // If the task was in the run queue already, it was woken for another reason, for example because it was handed the
    // descriptor.
    let has_woken = is_awaited && context.tasks.borrow().queued() != queued;
    context.losses.borrow_mut().lost(fd, moves, has_woken, &context.tasks.borrow());
}

impl Source {
    /// Drops the wakers of all waiters.
    fn discard(mut self) {
        self.drain(crate::runtime::waker::discard);
    }

    /// Wakes all waiters, so that their tasks see the new state of the descriptor.
    fn wake(mut self) {
        let mut wakers = Vec::new();
        self.take_wakers(&mut wakers);
        wakers.into_iter().for_each(crate::runtime::waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::id::{RuntimeId, SlotId};
    use std::sync::mpsc::channel;

    #[test]
    fn the_id_of_one_runtime_is_not_mistaken_for_one_of_another_during_a_move() {
        let registration = Registration::new(-1);
        let sources = [1, 2]
            .map(|number| SourceId { id: SlotId::new(number, 5, 7), runtime: RuntimeId::new(number, 0) });
        let whole = &registration.whole;
        whole.set(sources[0]);
        assert!(registration.id(whole) == sources[0]);
        std::thread::scope(|scope| {
            let (begin, begun) = channel();
            let moving = registration.lock();
            whole.set_id(sources[1]);
            let registration = &registration;
            let reading = scope.spawn(move || {
                begin.send(()).unwrap();
                registration.id(&registration.whole)
            });
            begun.recv().unwrap();
            // Give the other thread time to see one word without the other.
            (0..1000).for_each(|_| std::thread::yield_now());
            whole.set_runtime(sources[1]);
            drop(moving);
            assert!(reading.join().unwrap() == sources[1]);
        });
        // The source does not exist, so there is nothing to release.
        whole.set(SourceId::NONE);
    }
}
