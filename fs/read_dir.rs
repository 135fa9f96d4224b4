//! The entries of a folder. A thread of the pool reads a batch of them, and the caller takes one after the other.

use super::call::call;
use crate::runtime::join::spawn::{check_home, spawn_file_call};
use crate::task::{JoinHandle, coop};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{FileType, Metadata};
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The number of entries that a thread reads at once. The kernel returns as many in one or two calls, and waking a
/// thread costs little beside them.
const BATCH: usize = 256;

/// Returns the entries of a folder, in no particular order and without `.` and `..`.
///
/// # Errors
///
/// Returns the errors of opendir(3).
///
/// # Panics
///
/// Panics if no runtime is entered on this thread.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let mut names = Vec::new();
/// let mut entries = runtime::fs::read_dir(".").await?;
/// while let Some(entry) = entries.next_entry().await? {
///     names.push(entry.file_name());
/// }
/// assert!(names.iter().any(|name| name == "Cargo.toml"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    let batch = call("fs::read_dir", move || {
        let mut batch = Batch { entries: VecDeque::new(), std: Some(std::fs::read_dir(path)?) };
        batch.fill();
        Ok(batch)
    });
    Ok(ReadDir(State::Idle(batch.await?)))
}

/// The entries of a folder, returned by [`read_dir`].
#[must_use = "entries are read only when they are asked for"]
pub struct ReadDir(State);

enum State {
    Idle(Batch),
    Reading(JoinHandle<Batch>),
}

struct Batch {
    entries: VecDeque<io::Result<DirEntry>>,
    /// `None` at the end, or after an error.
    std: Option<std::fs::ReadDir>,
}

impl Batch {
    /// Reads further entries, until there are enough. An error is the last of them.
    fn fill(&mut self) {
        while let Some(std) = &mut self.std
            && self.entries.len() < BATCH
        {
            let next = std.next();
            if !matches!(next, Some(Ok(_))) {
                self.std = None;
            }
            self.entries.extend(next.map(|entry| entry.map(DirEntry::new)));
        }
    }
}

impl ReadDir {
    /// Returns the next entry, or `None` if there are no more.
    ///
    /// Entries that are created or removed meanwhile may be returned or not. All others are returned once.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: no entry is lost.
    ///
    /// # Errors
    ///
    /// Returns the errors of readdir(3), after the entries that were read before. There are no entries after an error.
    ///
    /// # Panics
    ///
    /// Panics if a thread has to read further entries and no runtime is entered on this thread.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    /// Polls for the next entry; see [`next_entry`](ReadDir::next_entry). Only the waker passed to the latest call is
    /// woken.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`next_entry`](ReadDir::next_entry).
    ///
    /// # Panics
    ///
    /// Panics in the same case as [`next_entry`](ReadDir::next_entry).
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            match &mut self.0 {
                State::Idle(batch) => {
                    ready!(coop::poll_budget(cx));
                    if let Some(entry) = batch.entries.pop_front() {
                        coop::spend();
                        return Poll::Ready(entry.map(Some));
                    }
                    if batch.std.is_none() {
                        coop::spend();
                        return Poll::Ready(Ok(None));
                    }
                    check_home("ReadDir::next_entry");
                    let mut batch =
                        Batch { entries: std::mem::take(&mut batch.entries), std: batch.std.take() };
                    self.0 = State::Reading(spawn_file_call("ReadDir::next_entry", || {
                        batch.fill();
                        batch
                    }));
                }
                State::Reading(handle) => {
                    let read = ready!(Pin::new(handle).poll(cx));
                    // After an error of the pool there is nothing to go on with.
                    let end = Batch { entries: VecDeque::new(), std: None };
                    let (batch, result) = match read {
                        Ok(batch) => (batch, Ok(())),
                        Err(error) => (end, Err(error)),
                    };
                    self.0 = State::Idle(batch);
                    result?;
                }
            }
        }
    }
}

impl fmt::Debug for ReadDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir").finish_non_exhaustive()
    }
}

/// An entry of a folder, returned by [`ReadDir::next_entry`].
///
/// # Examples
///
/// ```
/// use std::path::PathBuf;
///
/// # runtime::block_on(async {
/// let (mut folders, mut count) = (vec![PathBuf::from("fs")], 0);
/// while let Some(folder) = folders.pop() {
///     let mut entries = runtime::fs::read_dir(folder).await?;
///     while let Some(entry) = entries.next_entry().await? {
///         if entry.file_type().await?.is_dir() {
///             folders.push(entry.path());
///         } else {
///             count += 1;
///         }
///     }
/// }
/// assert!(count > 10);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct DirEntry {
    /// The type, if it could be read together with the entry.
    file_type: Option<FileType>,
    std: Arc<std::fs::DirEntry>,
}

impl DirEntry {
    /// Made on a thread of the pool, since the system may have to look up the type of the file.
    fn new(std: std::fs::DirEntry) -> DirEntry {
        DirEntry { file_type: std.file_type().ok(), std: Arc::new(std) }
    }

    /// Returns the path of the entry: that of the folder as it was passed to [`read_dir`], and the name.
    pub fn path(&self) -> PathBuf {
        self.std.path()
    }

    /// Returns the name of the entry, without the folder.
    pub fn file_name(&self) -> OsString {
        self.std.file_name()
    }

    /// Returns the number of the inode.
    pub fn ino(&self) -> u64 {
        self.std.ino()
    }

    /// Returns the metadata of the entry. Does not follow a symbolic link.
    ///
    /// # Errors
    ///
    /// Returns the errors of lstat(2), for example if the entry has been removed.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let std = self.std.clone();
        call("DirEntry::metadata", move || std.metadata()).await
    }

    /// Returns the type of the entry, which was read together with it if that was possible. Does not follow a symbolic
    /// link.
    ///
    /// # Errors
    ///
    /// Returns the errors of lstat(2), for example if the entry has been removed.
    pub async fn file_type(&self) -> io::Result<FileType> {
        match self.file_type {
            Some(file_type) => Ok(file_type),
            None => {
                let std = self.std.clone();
                call("DirEntry::file_type", move || std.file_type()).await
            }
        }
    }
}
