//! Which runtime a descriptor is registered with.
//!
//! It *binds* to the runtime on whose thread it first has to wait: until then operations are simply
//! tried, so that sockets can be made anywhere, and one that is ready at once costs no
//! cell. Used on another runtime's thread later on, it moves there.
//!
//! A descriptor may be handed from one runtime to the next as often as one likes. A runtime that takes it back while
//! it still waits for it *answers* its loss, see `contention.rs`: then two runtimes wait for it at once, and would take
//! it from each other for ever. So the first answer splits the descriptor: the runtime that answers watches the
//! direction that it waits for, and the other one keeps the other direction. That is all for the halves of a stream on
//! two threads. When both directions come to one runtime, there is one registration again.
//!
//! Two that wait for the same direction go on taking it from each other. Past [`MAX_ANSWERS`] in a row, the one that
//! comes gets an error. The other goes on waiting: whoever loses a registration is woken, tries again, and sees the
//! new state of things. No wake is lost.
//!
//! ```text
//!            bind                  answer                       bind
//!  unbound ───────► whole, here ──────────► a side here, ─────────────────► whole, there
//!                     ▲    │ bind           the other there   the side that is here, there
//!                     └────┘ elsewhere
//! ```

use crate::runtime::context;
use crate::runtime::context::Context;
use crate::runtime::id::SourceId;
use crate::runtime::io::reactor::{Direction, Source};
use crate::runtime::io::source_cell::{Sides, SourceCell};
use crate::runtime::remote;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often in a row a descriptor may be taken back by a wait that has just lost it. A task that is handed a
/// descriptor just when its loop hears of the loss, and has waited for it before, looks like one that has waited all
/// the time; but that is seldom so several times in a row. Each move is a wake of another thread.
const MAX_ANSWERS: u16 = 32;

/// Whose source a descriptor is. To be dropped before the descriptor is closed, and so are its [`Sides`].
pub(crate) struct Registration {
    /// For both directions, unless the descriptor is split.
    whole: SourceCell,
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

/// What has become of a cell.
struct Moved {
    id: SourceId,
    /// Whether it has moved for both directions.
    moves_both: bool,
    left: Left,
}

impl Registration {
    /// Of a descriptor that is not registered yet.
    pub(crate) fn new(fd: RawFd) -> Registration {
        Registration { whole: SourceCell::none(), state: Mutex::new(State { fd, moves: 0, answers: 0 }) }
    }

    /// Returns the registration for both directions, which may be [split](SourceCell::is_split).
    #[inline]
    pub(crate) fn whole(&self) -> &SourceCell {
        &self.whole
    }

    /// Returns the source that the descriptor is, in whichever runtime, by the whole registration or by a side's.
    #[inline]
    pub(crate) fn id(&self, cell: &SourceCell) -> SourceId {
        let source = cell.load();
        // Careful: between the two words there may have been a move. The one would name another source in the
        // runtime that is named by the other.
        if source.id.runtime() == source.runtime.number() { source } else { self.id_after_move(cell) }
    }

    /// Waits for the move that is under way.
    #[cold]
    fn id_after_move(&self, cell: &SourceCell) -> SourceId {
        let _state = self.lock();
        cell.load()
    }

    /// Binds a descriptor that is not registered to the runtime on this thread, on behalf of one who is about to wait for
    /// `direction`, if any. `changes` is called before anybody else can record_event of it; it runs no user code.
    ///
    /// Returns `None` if another thread was first.
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

    /// Binds to the runtime on this thread, taking the descriptor from the one of `earlier`, if any, on
    /// behalf of one who is about to wait for `direction`, if any. `sides` are those of this descriptor. `changes` is
    /// called before anybody else can record_event of it: with `true` if both directions move, else with `false`. It runs no
    /// user code.
    ///
    /// Returns `None` if another thread was first, so that `earlier` is out of date.
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
            let is_answer = context.losses.borrow_mut().take(fd.as_raw_fd(), &context.tasks.borrow());
            // A runtime that has been dropped waits for nothing.
            let has_rival = !earlier.is_none() && remote::find(earlier.runtime).is_some();
            let is_contended = has_rival && is_answer;
            state.answers = if is_contended { state.answers + 1 } else { 0 };
            if state.answers > MAX_ANSWERS {
                state.answers = 0;
                return Err(in_use());
            }
            let moving = Moving { registration: self, context, state: &mut state, fd, earlier, has_rival };
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

    /// Gives the registration up, while the descriptor is still open. Whoever has left a waker is
    /// woken, to leave it with the next cell.
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
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        // Nobody can wait for a descriptor whose owner is dropped; wakers left by earlier, cancelled
        // calls are dropped with it.
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

/// A registration that is about to change, under the lock of its registration.
struct Moving<'a> {
    registration: &'a Registration,
    context: &'a Context,
    state: &'a mut State,
    fd: BorrowedFd<'a>,
    earlier: SourceId,
    has_rival: bool,
}

impl Moving<'_> {
    /// Both directions come here.
    fn whole(mut self, direction: Option<Direction>) -> io::Result<Moved> {
        let id = self.context.reactor.borrow_mut().register(self.fd, direction)?;
        let id = SourceId { id, runtime: self.context.id };
        self.registration.whole.set(id);
        let left = self.arrive();
        Ok(Moved { id, moves_both: true, left })
    }

    /// A direction comes here, and the other one stays where both were.
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

    /// A direction of a split descriptor comes here. If the other one is here already, they are one again.
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

    /// The descriptor is registered here, and not where it was. Taken out there under the lock, it can be registered
    /// there anew as soon as that is possible.
    fn arrive(&mut self) -> Left {
        let earlier_fd = self.count_move();
        give_up(self.earlier, earlier_fd, self.state.moves)
    }

    /// Returns the number that the descriptor had before.
    fn count_move(&mut self) -> RawFd {
        let fd = self.fd.as_raw_fd();
        if self.has_rival {
            self.state.moves = self.state.moves.wrapping_add(1);
            self.context.losses.borrow_mut().arrived(fd, self.state.moves);
        }
        std::mem::replace(&mut self.state.fd, fd)
    }
}

/// What is left to do about a registration that has been given up, under no lock and no borrow: its wakers are user
/// code.
enum Left {
    Nothing,
    /// It was one of a runtime of this thread.
    Here(Rc<Context>, Option<Source>),
    /// It was one of another thread, whose loop has yet to record_event of it.
    Remote {
        id: SourceId,
        fd: RawFd,
        moves: u16,
    },
    /// Of a direction alone: the other one stays registered.
    Side {
        id: SourceId,
        direction: Direction,
        fd: RawFd,
        moves: u16,
    },
}

/// Deregisters a descriptor, which is still open, from the runtime it is registered to. `moves` is the number of the latest
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
        None => give_up_remotely(id, fd, moves),
    }
}

#[cold]
fn give_up_remotely(id: SourceId, fd: RawFd, moves: u16) -> Left {
    match remote::find(id.runtime) {
        Some(remote) => {
            remote.deregister(fd);
            Left::Remote { id, fd, moves }
        }
        None => Left::Nothing,
    }
}

impl Left {
    /// Does with a source what `finish` says.
    fn finish(self, finish: fn(Source)) {
        match self {
            Left::Nothing => {}
            Left::Here(context, source) => {
                // It may be dropped by what the wakers do, and is kept until they have done it.
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

/// Wakes whoever has waited for what a runtime has lost, and notes whether that was somebody.
fn lose(context: &Context, fd: RawFd, moves: u16, is_awaited: bool, wake: impl FnOnce()) {
    let queued = context.tasks.borrow().queued();
    wake();
    // A task that was queued already was woken for another reason: it may have been handed the descriptor.
    let has_woken = is_awaited && context.tasks.borrow().queued() != queued;
    context.losses.borrow_mut().lost(fd, moves, has_woken, &context.tasks.borrow());
}

impl Source {
    /// Drops the wakers of whoever waits.
    fn discard(mut self) {
        self.drain(crate::runtime::waker::discard);
    }

    /// Wakes whoever waits, so that they find out what has become of the descriptor.
    fn wake(mut self) {
        let mut wakers = Vec::new();
        self.take_wakers(&mut wakers);
        wakers.into_iter().for_each(crate::runtime::waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::id::{Id, RuntimeId};
    use std::sync::mpsc::channel;

    #[test]
    fn the_id_of_one_runtime_is_not_taken_for_one_of_another_during_a_move() {
        let registration = Registration::new(-1);
        let sources =
            [1, 2].map(|number| SourceId { id: Id::new(number, 5, 7), runtime: RuntimeId::new(number, 0) });
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
            // It has time to see the one without the other.
            (0..1000).for_each(|_| std::thread::yield_now());
            whole.set_runtime(sources[1]);
            drop(moving);
            assert!(reading.join().unwrap() == sources[1]);
        });
        // There is none to release.
        whole.set(SourceId::NONE);
    }
}
