//! The state that the handles of a watch channel share: the value, the number of its changes, and the waiters.
//!
//! The value is borrowed only while the caller's code reads or changes it. Everything else is in cells, and stays
//! consistent if that code panics or uses the channel.

use crate::runtime::unwind::Contained;
use crate::sync::condition::Condition;
use std::cell::{self, Cell, RefCell};
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};

pub(super) struct Shared<T> {
    pub(super) value: RefCell<Contained<T>>,
    version: Cell<Version>,
    pub(super) senders: Cell<usize>,
    pub(super) receivers: Cell<usize>,
    /// There is a new value, or no sender is left.
    pub(super) changed: Condition,
    /// No receiver is left.
    pub(super) closed: Condition,
}

// A panic in user code leaves the state consistent.
impl<T> UnwindSafe for Shared<T> {}
impl<T> RefUnwindSafe for Shared<T> {}

/// The number of a value. It may wrap: only equality counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Version(u64);

impl Version {
    /// Returns the version before, which a receiver that has not seen this one may have seen.
    pub(super) fn previous(self) -> Version {
        Version(self.0.wrapping_sub(1))
    }
}

impl<T> Shared<T> {
    /// Creates the state of a channel without handles.
    pub(super) fn new(value: T) -> Shared<T> {
        Shared {
            value: RefCell::new(Contained::new(value)),
            version: Cell::new(Version(0)),
            senders: Cell::new(0),
            receivers: Cell::new(0),
            changed: Condition::new(),
            closed: Condition::new(),
        }
    }

    #[inline]
    pub(super) fn version(&self) -> Version {
        self.version.get()
    }

    /// Counts a change of the value. The caller then notifies the receivers.
    #[inline]
    pub(super) fn count_change(&self) {
        self.version.set(Version(self.version.get().0.wrapping_add(1)));
    }

    #[inline]
    pub(super) fn has_sender(&self) -> bool {
        self.senders.get() > 0
    }

    #[inline]
    #[track_caller]
    pub(super) fn borrow(&self, has_changed: bool) -> Ref<'_, T> {
        match self.value.try_borrow() {
            Ok(value) => Ref { value: cell::Ref::map(value, Contained::get), has_changed },
            Err(_) => panic!(
                "the value of a watch channel is read while it is being changed: \
                              do not use the channel inside of send_modify or send_if_modified"
            ),
        }
    }
}

/// A reference to the value in a watch channel.
///
/// As long as it exists, sending panics. Do not keep it across an `.await`.
#[derive(Debug)]
pub struct Ref<'a, T> {
    value: cell::Ref<'a, T>,
    has_changed: bool,
}

impl<T> Ref<'_, T> {
    /// Returns true if the receiver had not seen this value before the reference was made. It is always false if a sender
    /// made the reference.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
