//! A buffer that is lent by the loop for as long as bytes are in it.

use crate::runtime::context;
use crate::runtime::io::buffer_pool::BufferPool;
use std::ops::{Deref, DerefMut};

/// A buffer, given back on drop. What is in it is what somebody else left there.
pub(super) struct Buffer(Box<[u8]>);

/// The usual length.
pub(super) const BUFFER_SIZE: usize = BufferPool::BUFFER_SIZE;

impl Buffer {
    /// The loop's, if it has one to spare and that is as long as wanted; else a new one.
    pub(super) fn take(size: usize) -> Buffer {
        let lent = match size {
            BUFFER_SIZE => {
                context::try_with(|context| context.buffer_pool.borrow_mut().get_buffer()).flatten()
            }
            _ => None,
        };
        Buffer(lent.unwrap_or_else(|| vec![0; size].into()))
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Buffer {
        Buffer(bytes.into())
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        if buffer.len() == BUFFER_SIZE {
            context::try_with(|context| context.buffer_pool.borrow_mut().put_buffer(buffer));
        }
    }
}
