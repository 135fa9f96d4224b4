//! The pool of buffers and pipes. Copies read into a buffer, or move data through a pipe so that it never
//! leaves the kernel.
//!
//! A connection that waits needs neither, so thousands of connections share the few that are in use at once.
//! A caller that takes a buffer or a pipe owns it, and may also keep or drop it. So the pool is only a small
//! free list, which is dropped with the runtime.

use std::io::{self, PipeReader, PipeWriter};
use std::sync::Arc;

/// The free buffers and pipes, and a count of all pipes.
#[derive(Default)]
pub(crate) struct BufferPool {
    buffers: Vec<Box<[u8]>>,
    pipes: Vec<PooledPipe>,
    /// Each pipe holds a clone of this `Arc`, so its count is right wherever pipes are dropped.
    count: Arc<()>,
}

/// Both ends of a pipe.
pub(crate) struct PooledPipe {
    pub(crate) reader: PipeReader,
    pub(crate) writer: PipeWriter,
    _count: Arc<()>,
}

impl BufferPool {
    /// The length of a buffer in bytes: that of the largest TLS record, and four pages.
    pub(crate) const BUFFER_SIZE: usize = 16 * 1024;

    /// The maximum number of buffers that are kept. One buffer is enough as long as all data can be written
    /// as soon as it has been read.
    const MAX_BUFFERS: usize = 4;

    /// The maximum number of pipes that are kept. Each has two descriptors.
    const MAX_KEPT_PIPES: usize = 8;

    /// The maximum number of pipes in existence. Each may hold a megabyte for as long as its reader is slow,
    /// and there may be many slow readers.
    pub(crate) const MAX_PIPES: usize = 64;

    pub(crate) fn get_buffer(&mut self) -> Option<Box<[u8]>> {
        self.buffers.pop()
    }

    /// Gives a buffer back. If the pool is full, or the length is not [`BUFFER_SIZE`](Self::BUFFER_SIZE), the
    /// buffer is dropped.
    pub(crate) fn put_buffer(&mut self, buffer: Box<[u8]>) {
        if self.buffers.len() < BufferPool::MAX_BUFFERS && buffer.len() == BufferPool::BUFFER_SIZE {
            self.buffers.push(buffer);
        }
    }

    /// Returns a pipe that was kept, or a new one. Returns `None` if there are too many pipes, or if `make`
    /// fails.
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

    /// Gives a pipe back, which must be empty. If the pool is full, the pipe is closed.
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
    fn a_few_buffers_are_kept_and_only_those_of_the_right_length() {
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
