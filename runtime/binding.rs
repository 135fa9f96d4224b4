//! Which runtime a descriptor is registered with.
//!
//! It *binds* to the runtime on whose thread it first has to wait: until then operations are simply
//! tried, so that sockets can be made anywhere, and one that is ready at once costs no
//! registration. Used on another runtime's thread later on, it moves there. The registration is an
//! id in an atomic word, so that the owner is `Send` and `Sync`; on its own thread that is a plain
//! load.
//!
//! Two runtimes that wait for one descriptor at once would take it from each other for ever. Each
//! move without readiness in between is counted, and past [`MOVES`] of them the one that comes
//! gets an error. The other goes on waiting: whoever loses the registration is woken, tries
//! again, and sees the new state of things. No wake is lost.

use super::id::Id;
use super::known::{Knowledge, Known};
use super::reactor::{Direction, Source};
use super::{context, remote};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering::Relaxed};

/// How often a descriptor may change its runtime without anything happening on it.
const MOVES: u8 = 8;

/// Whose source a descriptor is. To be dropped before the descriptor is closed.
pub(crate) struct Binding {
    /// An [`Id`]'s bits; zero while unbound.
    id: AtomicU64,
    knowledge: Knowledge,
    /// As which it was registered last.
    fd: AtomicI32,
    moves: AtomicU8,
}

impl Binding {
    /// Of a descriptor that is not registered yet.
    pub(crate) fn new(fd: RawFd) -> Binding {
        let (id, moves) = (AtomicU64::new(0), AtomicU8::new(0));
        Binding { id, knowledge: Knowledge::default(), fd: AtomicI32::new(fd), moves }
    }

    /// The source it is, in whichever runtime. Of runtime 0, which is none, while unbound.
    #[inline]
    pub(crate) fn id(&self) -> Id {
        Id::from_bits(self.id.load(Relaxed))
    }

    /// What is known of that source.
    #[inline]
    pub(crate) fn known(&self, id: Id) -> Known {
        self.knowledge.of(id)
    }

    /// Keeps what is known now. Only to be called where the source is, or if nobody watches it.
    #[inline]
    pub(crate) fn learn(&self, known: Known) {
        self.knowledge.set(known);
    }

    /// Something came to be read where the descriptor is bound now: it has arrived.
    #[inline]
    pub(crate) fn settle(&self) {
        if self.moves.load(Relaxed) != 0 {
            self.moves.store(0, Relaxed);
        }
    }

    /// Binds to the runtime on this thread, taking the descriptor from the one of `earlier`, if any, on
    /// behalf of one who is about to wait for `direction`, if any.
    #[cold]
    pub(crate) fn bind(
        &self,
        fd: BorrowedFd<'_>,
        earlier: u64,
        direction: Option<Direction>,
    ) -> io::Result<Id> {
        // A runtime that has gone waits for nothing.
        let has_rival = earlier != 0 && remote::find(Id::from_bits(earlier).runtime()).is_some();
        if has_rival && self.moves.fetch_add(1, Relaxed) >= MOVES {
            self.moves.store(0, Relaxed);
            return Err(in_use());
        }
        let registered = context::with(|context| context.reactor.borrow_mut().register(fd, direction));
        let id = registered.map_err(|error| match error.kind() {
            // The rival is just about to take it out of here.
            io::ErrorKind::AlreadyExists if has_rival => in_use(),
            _ => error,
        })?;
        if self.id.compare_exchange(earlier, id.bits(), Relaxed, Relaxed).is_err() {
            // Another thread was first.
            let source = context::with(|context| context.reactor.borrow_mut().deregister(id));
            drop(source);
            return Err(in_use());
        }
        release(earlier, self.fd.swap(fd.as_raw_fd(), Relaxed), Source::wake);
        Ok(id)
    }

    /// Gives the registration up, while the descriptor is still open. Whoever has left a waker is
    /// woken, to leave it with the next registration.
    pub(crate) fn unbind(&mut self) {
        let earlier = std::mem::take(self.id.get_mut());
        release(earlier, *self.fd.get_mut(), Source::wake);
        self.settle();
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
        release(*self.id.get_mut(), *self.fd.get_mut(), drop);
    }
}

/// Deregisters a descriptor, which is still open, from the runtime it is bound to, and does with
/// the wakers left there what `finish` says. That is user code, and runs under no borrow.
fn release(bits: u64, fd: RawFd, finish: fn(Source)) {
    if bits == 0 {
        return;
    }
    let id = Id::from_bits(bits);
    match context::at_home(id.runtime(), |context| context.reactor.borrow_mut().deregister(id)) {
        Some(source) => {
            source.map(finish);
        }
        None => release_away(id, fd, finish),
    }
}

#[cold]
fn release_away(id: Id, fd: RawFd, finish: fn(Source)) {
    if let Some(remote) = remote::find(id.runtime()) {
        remote.deregister(fd);
        context::reach(id.runtime(), move |context| {
            let source = context.reactor.borrow_mut().forget(id);
            source.map(finish);
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
