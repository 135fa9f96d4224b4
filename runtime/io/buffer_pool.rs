//! What the loop lends for a moment to those who move bytes: a buffer to read into, a pipe for what
//! never leaves the kernel.
//!
//! A connection that waits needs neither, so thousands of them share what one has needed. A thing
//! that is lent out is owned by the borrower, who may just as well keep it, or drop it; so this is
//! no more than a few spare things, given back when the runtime ends.

use std::io::{self, PipeReader, PipeWriter};
use std::sync::Arc;

/// Spare things, and a count of those that are out.
#[derive(Default)]
pub(crate) struct BufferPool {
    buffers: Vec<Box<[u8]>>,
    pipes: Vec<PooledPipe>,
    /// Each pipe has a part of it, so that they are counted wherever they are dropped.
    count: Arc<()>,
}

/// Both ends of a pipe.
pub(crate) struct PooledPipe {
    pub(crate) reader: PipeReader,
    pub(crate) writer: PipeWriter,
    _count: Arc<()>,
}

impl BufferPool {
    /// How long a buffer is that is lent: a record of TLS, and four pages.
    pub(crate) const BUFFER_SIZE: usize = 16 * 1024;

    /// So many buffers are kept. One is enough as long as all that is read can be written.
    const MAX_BUFFERS: usize = 4;

    /// So many pipes are kept. Two descriptors each.
    const MAX_KEPT_PIPES: usize = 8;

    /// And so many are there at all. Each may hold a megabyte as long as its reader is slow, and slow
    /// readers may be many.
    pub(crate) const MAX_PIPES: usize = 64;

    pub(crate) fn get_buffer(&mut self) -> Option<Box<[u8]>> {
        self.buffers.pop()
    }

    /// What is not wanted is dropped.
    pub(crate) fn put_buffer(&mut self, buffer: Box<[u8]>) {
        if self.buffers.len() < BufferPool::MAX_BUFFERS && buffer.len() == BufferPool::BUFFER_SIZE {
            self.buffers.push(buffer);
        }
    }

    /// One that is kept, or a new one. None if there are too many, or `make` fails.
    pub(crate) fn get_pipe(
        &mut self,
        make: impl FnOnce() -> io::Result<(PipeReader, PipeWriter)>,
    ) -> Option<PooledPipe> {
        self.pipes.pop().or_else(|| {
            if Arc::strong_count(&self.count) > BufferPool::MAX_PIPES {
                return None;
            }
            let (reader, writer) = make().ok()?;
            Some(PooledPipe { reader, writer, _count: self.count.clone() })
        })
    }

    /// An empty one. What is not wanted is closed.
    pub(crate) fn put_pipe(&mut self, pipe: PooledPipe) {
        if self.pipes.len() < BufferPool::MAX_KEPT_PIPES {
            self.pipes.push(pipe);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_kept_and_only_those_that_fit() {
        let mut pool = BufferPool::default();
        for _ in 0..100 {
            pool.put_buffer(vec![0; BufferPool::BUFFER_SIZE].into());
            pool.put_buffer(vec![0; 1 << 20].into());
        }
        assert_eq!(pool.buffers.len(), BufferPool::MAX_BUFFERS);
        assert!(std::iter::from_fn(|| pool.get_buffer()).all(|one| one.len() == BufferPool::BUFFER_SIZE));
    }

    #[test]
    fn pipes_are_counted_wherever_they_go() {
        let mut pool = BufferPool::default();
        for _ in 0..3 {
            let mut out: Vec<PooledPipe> = std::iter::from_fn(|| pool.get_pipe(io::pipe)).collect();
            assert_eq!(out.len(), BufferPool::MAX_PIPES);
            out.drain(..10).for_each(|pipe| pool.put_pipe(pipe));
            assert_eq!(pool.pipes.len(), BufferPool::MAX_KEPT_PIPES);
            std::thread::spawn(|| drop(out)).join().unwrap();
        }
        pool.pipes.clear();
        assert!(pool.get_pipe(|| Err(io::ErrorKind::Other.into())).is_none());
        assert_eq!(Arc::strong_count(&pool.count), 1);
    }
}
