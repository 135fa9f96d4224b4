//! A buffer from the buffer pool of the loop. A copy holds it only while there are bytes in it.
//!
//! Outside of a runtime, or if the pool has no buffer, the buffer is allocated.

use crate::runtime::context;
use crate::runtime::io::buffer_pool::BufferPool;
use std::ops::{Deref, DerefMut};

/// A buffer that returns to the buffer pool when it is dropped.
///
/// Careful: a new buffer contains the bytes of its previous user.
pub(crate) struct Buffer(Box<[u8]>);

/// The length of the buffers in the pool, in bytes.
pub(crate) const BUFFER_SIZE: usize = BufferPool::BUFFER_SIZE;

impl Buffer {
    /// Takes a buffer of the pool if `size` is [`BUFFER_SIZE`] and the pool has one. Otherwise allocates a buffer.
    pub(crate) fn take(size: usize) -> Buffer {
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
