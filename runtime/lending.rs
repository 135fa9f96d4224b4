//! What the loop lends for a moment to those who move bytes: a buffer to read into, a pipe for what
//! never leaves the kernel.
//!
//! A connection that waits needs neither, so thousands of them share what one has needed. A thing
//! that is lent out is owned by the borrower, who may just as well keep it, or drop it; so this is
//! no more than a few spare things, given back when the runtime ends.

use std::io::{PipeReader, PipeWriter};

/// Spare things.
#[derive(Default)]
pub(crate) struct Lending {
    buffers: Vec<Box<[u8]>>,
    pipes: Vec<(PipeReader, PipeWriter)>,
}

impl Lending {
    /// How long a buffer is that is lent: a record of TLS, and four pages.
    pub(crate) const BUFFER_SIZE: usize = 16 * 1024;

    /// So many buffers are kept. One is enough as long as all that is read can be written.
    const BUFFERS: usize = 4;

    /// So many pipes are kept. Two descriptors each.
    const PIPES: usize = 8;

    pub(crate) fn take_buffer(&mut self) -> Option<Box<[u8]>> {
        self.buffers.pop()
    }

    /// What is not wanted is dropped.
    pub(crate) fn give_buffer(&mut self, buffer: Box<[u8]>) {
        if self.buffers.len() < Lending::BUFFERS && buffer.len() == Lending::BUFFER_SIZE {
            self.buffers.push(buffer);
        }
    }

    pub(crate) fn take_pipe(&mut self) -> Option<(PipeReader, PipeWriter)> {
        self.pipes.pop()
    }

    /// An empty one. What is not wanted is closed.
    pub(crate) fn give_pipe(&mut self, pipe: (PipeReader, PipeWriter)) {
        if self.pipes.len() < Lending::PIPES {
            self.pipes.push(pipe);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_kept_and_only_those_that_fit() {
        let mut lending = Lending::default();
        for _ in 0..100 {
            lending.give_buffer(vec![0; Lending::BUFFER_SIZE].into());
            lending.give_buffer(vec![0; 1 << 20].into());
            lending.give_pipe(std::io::pipe().unwrap());
        }
        assert_eq!((lending.buffers.len(), lending.pipes.len()), (Lending::BUFFERS, Lending::PIPES));
        assert!(
            std::iter::from_fn(|| lending.take_buffer()).all(|buffer| buffer.len() == Lending::BUFFER_SIZE)
        );
        assert!(std::iter::from_fn(|| lending.take_pipe()).count() == Lending::PIPES);
    }
}
