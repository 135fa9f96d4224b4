//! Without files there are no writes to wait for.

pub(crate) struct Writes;

impl Writes {
    pub(crate) fn new() -> Writes {
        Writes
    }

    pub(crate) fn abandon(&self) {}

    pub(crate) fn wait(&self) {}
}
