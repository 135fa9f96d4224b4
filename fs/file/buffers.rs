//! The bytes between a file and its caller: those that were read and not yet taken, and those that were accepted and
//! not yet written. And the operations that need both the file and these bytes.
//!
//! The operations block, so threads of the pool make them, one at a time. Unread bytes make the position of the
//! descriptor run ahead of the position that the caller knows; every operation that depends on the position moves it
//! back first. Bytes that could not be written are kept, and the next operation tries to write them again. So a flush
//! that succeeds has always written everything, whatever failed before.
//!
//! This file does not know the loop, wakers or the pool.

use super::write_error::WriteError;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Seek, SeekFrom, Write};
use std::ops::Range;

/// The most bytes that are read ahead of a caller who reads small pieces.
const MAX_AHEAD: usize = 512 * 1024;

#[derive(Default)]
pub(super) struct Buffers {
    /// All bytes of it are initialized. It grows to the largest read.
    memory: Vec<u8>,
    /// The part of the memory that was read and not yet taken.
    unread: Range<usize>,
    /// True if the file is a regular file. `None` until this has been asked.
    is_regular: Option<bool>,
    /// The number of bytes to read next: more each time the caller has taken all bytes of a full read.
    ahead: usize,
    /// The end of the file or the error, if the last read returned no bytes.
    read_end: Option<io::Result<()>>,
    unwritten: Vec<u8>,
    /// The number of bytes of `unwritten` that have been written nevertheless.
    written: usize,
    pub(super) write_error: WriteError,
    sought: Option<io::Result<u64>>,
}

/// The result of a read from the buffer, without waiting.
pub(super) enum Unread {
    Bytes(usize),
    End(io::Result<()>),
    Nothing,
}

/// The limits of a read.
#[derive(Clone, Copy)]
pub(super) struct ReadSize {
    /// The number of bytes that the caller asks for.
    pub(super) wanted: usize,
    /// The maximum number of bytes of one system call.
    pub(super) max: usize,
    /// True if the operation may read more than `wanted`, to save the next call.
    pub(super) is_ahead: bool,
}

impl Buffers {
    /// Copies unread bytes to the caller.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> Unread {
        if let Some(end) = self.read_end.take() {
            return Unread::End(end);
        }
        let count = self.unread.len().min(buffer.len());
        if count == 0 {
            return Unread::Nothing;
        }
        let end = self.unread.start + count;
        buffer[..count].copy_from_slice(&self.memory[self.unread.start..end]);
        self.unread.start = end;
        Unread::Bytes(count)
    }

    /// Reads, unless there are unread bytes.
    pub(super) fn read(&mut self, mut file: &File, size: ReadSize) -> io::Result<()> {
        if !self.unread.is_empty() {
            return Ok(());
        }
        self.read_end = None;
        let result = self.write_rest(file).and_then(|()| {
            let is_ahead = size.is_ahead && self.ahead > size.wanted && self.is_regular(file);
            let wanted = if is_ahead { self.ahead } else { size.wanted }.min(size.max);
            if self.memory.len() < wanted {
                self.memory.resize(wanted, 0);
            }
            let count = restarted(|| file.read(&mut self.memory[..wanted]))?;
            self.ahead = if count == wanted { (2 * wanted).min(MAX_AHEAD) } else { 0 };
            Ok(count)
        });
        match result {
            Ok(0) => self.read_end = Some(Ok(())),
            Ok(count) => self.unread = 0..count,
            Err(error) => self.read_end = Some(Err(error)),
        }
        Ok(())
    }

    /// Returns whether bytes that were read too early can be given back. Those of a pipe or a terminal cannot.
    fn is_regular(&mut self, file: &File) -> bool {
        let ask = || file.metadata().is_ok_and(|metadata| metadata.is_file());
        *self.is_regular.get_or_insert_with(ask)
    }

    /// Returns whether nothing lies between the caller and the file, so that a read of the file itself is next.
    pub(super) fn is_empty(&self) -> bool {
        self.unread.is_empty() && self.read_end.is_none() && !self.is_unwritten()
    }

    /// Returns whether bytes could not be written so far.
    pub(super) fn is_unwritten(&self) -> bool {
        self.written < self.unwritten.len()
    }

    /// Copies bytes that are to be written, `max` at most, and returns their number. No earlier ones are left. They stay
    /// here until they have been written, whatever becomes of the operation that is to write them.
    pub(super) fn accept(&mut self, pieces: &[IoSlice<'_>], max: usize) -> usize {
        debug_assert!(!self.is_unwritten());
        self.unwritten.clear();
        self.written = 0;
        for piece in pieces {
            let room = max - self.unwritten.len();
            self.unwritten.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        self.unwritten.len()
    }

    /// Writes the bytes that were accepted. An error is stored, and the next operation returns it.
    pub(super) fn write(&mut self, file: &File) -> io::Result<()> {
        if let Err(error) = self.write_rest(file) {
            self.write_error.put(error);
        }
        Ok(())
    }

    /// Writes the rest, unless an earlier error has not been returned yet: then it is returned.
    pub(super) fn flush(&mut self, file: &File) -> io::Result<()> {
        self.write_error.take()?;
        self.write_rest(file)
    }

    /// Moves the position. The result is stored for [`take_sought`](Buffers::take_sought).
    pub(super) fn seek(&mut self, file: &File, position: SeekFrom) -> io::Result<()> {
        self.sought = Some(self.seek_now(file, position));
        Ok(())
    }

    fn seek_now(&mut self, mut file: &File, position: SeekFrom) -> io::Result<u64> {
        self.write_rest(file)?;
        let unread = self.unread.len();
        let result = match position {
            // Careful: less than the number of unread bytes if another descriptor has moved the position.
            SeekFrom::Current(0) => return Ok(file.stream_position()?.saturating_sub(unread as u64)),
            SeekFrom::Current(by) => file.seek(SeekFrom::Current(by.saturating_sub(unread as i64)))?,
            SeekFrom::Start(_) | SeekFrom::End(_) => file.seek(position)?,
        };
        self.discard_unread();
        Ok(result)
    }

    pub(super) fn take_sought(&mut self) -> Option<io::Result<u64>> {
        self.sought.take()
    }

    /// Changes the length of the file. Unread bytes may no longer be in it, and are read again.
    pub(super) fn set_len(&mut self, file: &File, len: u64) -> io::Result<()> {
        self.write_rest(file)?;
        self.rewind(file)?;
        file.set_len(len)
    }

    /// Gives up unread bytes, so that the position of the descriptor is the one that the caller knows. A descriptor
    /// without positions, such as a terminal, keeps them.
    pub(super) fn rewind(&mut self, mut file: &File) -> io::Result<()> {
        self.read_end = None;
        self.ahead = 0;
        if self.unread.is_empty() {
            return Ok(());
        }
        match file.seek(SeekFrom::Current(-(self.unread.len() as i64))) {
            Ok(_) => self.discard_unread(),
            Err(error) if error.kind() == ErrorKind::NotSeekable => {}
            // The position would be negative, so another descriptor has moved it, and it counts as it is.
            Err(error) if error.kind() == ErrorKind::InvalidInput => self.discard_unread(),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn discard_unread(&mut self) {
        self.read_end = None;
        self.ahead = 0;
        self.unread = 0..0;
    }

    fn write_rest(&mut self, mut file: &File) -> io::Result<()> {
        if !self.is_unwritten() {
            return Ok(());
        }
        self.rewind(file)?;
        while let bytes = &self.unwritten[self.written..]
            && !bytes.is_empty()
        {
            match restarted(|| file.write(bytes)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) => {
                    // The file is not open for writing, and never will be.
                    if error.raw_os_error() == Some(libc::EBADF) {
                        self.unwritten.clear();
                        self.written = 0;
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Repeats a call that a signal has interrupted.
fn restarted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
