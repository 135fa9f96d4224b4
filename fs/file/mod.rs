//! Files.

// `buffers.rs` has the bytes between a file and its caller, `queue.rs` the order of the operations, `shared.rs` what
// the two sides share, `write_error.rs` the errors that have not been returned yet, and `streams.rs` the traits. Here
// are the methods that are no streams: each is one operation in the queue, so it comes after the writes that were
// accepted before.

mod buffers;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod no_wait;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "no_wait_unsupported.rs"]
mod no_wait;
mod queue;
mod shared;
#[cfg(feature = "io-util")]
mod splice;
mod streams;
#[cfg(feature = "tokio-io")]
mod tokio_seek;
mod write_error;

use super::OpenOptions;
use crate::task::JoinHandle;
use buffers::Buffers;
use shared::Operations;
use std::borrow::Borrow;
use std::fmt;
use std::fs::{File as StdFile, FileTimes, Metadata, Permissions};
use std::io::{self, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use write_error::Undelivered;

/// An open file, whose operations do not block the loop.
///
/// It is read, written and sought through the traits of [`io`](crate::io), such as `AsyncReadExt`. The position in the
/// file is that of the descriptor, as in std.
///
/// # Writes
///
/// A write copies its bytes and returns, and a thread of the pool writes them. So **call `flush` after the last write**:
/// it waits until everything has been written to the system, and returns the error if that failed. So do `close` and
/// [`sync_all`](File::sync_all). The error of a write is returned once, by the next one of these or by the next write.
/// So is the error of a `sync_all` or a `sync_data` whose future is dropped, since the system reports some errors of the
/// disk only once.
///
/// Bytes that could not be written are kept, and the next operation tries to write them again. So after a flush that
/// has failed because the disk was full, a later flush succeeds if and only if everything has been written. Reads,
/// seeks and [`set_len`](File::set_len) write these bytes first as well, and fail if that fails. If the file is not open
/// for writing, the bytes are discarded after the error.
///
/// When a file is dropped, writes that were accepted go on, and the descriptor is closed after them. Their errors are
/// lost. A runtime that is dropped waits for them, for 10 s at most, unless
/// [`shutdown_background`](crate::Runtime::shutdown_background) is called.
///
/// # Reads
///
/// On Linux, the loop reads by itself what the kernel has in memory, if the file system permits it (ext4, XFS and Btrfs
/// do). Otherwise, a thread of the pool reads. It then reads ahead in regular files, up to 512 KiB, of a caller who reads
/// the whole file in small pieces. The position of the descriptor is then ahead of the position in the file, until an
/// operation that depends on the position moves it back. Files that share their position through
/// [`try_clone`](File::try_clone) do not read ahead.
///
/// # Cancel safety
///
/// An operation on the pool cannot be stopped. If the future of a read is dropped, no bytes are lost: the next read
/// returns them. A write whose future is dropped while it is pending has written nothing. All other operations
/// may or may not have an effect. The next operation waits until the earlier one has ended.
///
/// # Examples
///
/// ```
/// use runtime::fs::File;
/// use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
///
/// # runtime::block_on(async {
/// # let path = std::env::temp_dir().join(format!("runtime-doc-file-{}", std::process::id()));
/// let mut file = File::create_new(&path).await?;
/// file.write_all(b"hello, disk").await?;
/// file.flush().await?;
/// file.rewind().await?;
/// let mut text = String::new();
/// file.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello, disk");
/// # std::fs::remove_file(path)
/// # }).unwrap();
/// ```
pub struct File {
    operations: Operations,
    /// The last operation that was started for reading, writing or seeking.
    last: Option<Operation>,
    /// The seek that the last operation makes, if it is one.
    seeking: Option<SeekFrom>,
    max_buf_size: usize,
    #[cfg(feature = "tokio-io")]
    seek: tokio_seek::Seek,
}

type Operation = JoinHandle<io::Result<()>>;

/// The default of [`File::max_buf_size`], in bytes, the same as tokio's.
const MAX_BUF_SIZE: usize = 2 * 1024 * 1024;

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`OpenOptions::open`].
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread. So do all other operations of this type that are not documented
    /// to do nothing but access memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::fs::File;
    /// use runtime::io::AsyncReadExt;
    ///
    /// # runtime::block_on(async {
    /// let mut file = File::open("Cargo.toml").await?;
    /// let mut head = [0; 11];
    /// file.read_exact(&mut head).await?;
    /// assert_eq!(&head, b"[workspace]");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn open(path: impl AsRef<Path>) -> io::Result<File> {
        File::options().read(true).open(path).await
    }

    /// Opens a file for writing. Creates it if it does not exist, and truncates it if it does.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`OpenOptions::open`].
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::fs::File;
    /// use runtime::io::{AsyncWriteExt, BufWriter};
    ///
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("runtime-doc-create-{}", std::process::id()));
    /// let mut file = BufWriter::new(File::create(&path).await?);
    /// for number in 0..1000 {
    ///     file.write_all(format!("{number}\n").as_bytes()).await?;
    /// }
    /// file.flush().await?; // Without this, the end of the text and the error of the last write would be lost.
    /// assert_eq!(file.get_ref().metadata().await?.len(), 3890);
    /// # std::fs::remove_file(path)
    /// # }).unwrap();
    /// ```
    pub async fn create(path: impl AsRef<Path>) -> io::Result<File> {
        File::options().write(true).create(true).truncate(true).open(path).await
    }

    /// Creates a file for reading and writing.
    ///
    /// # Errors
    ///
    /// Returns [`AlreadyExists`](io::ErrorKind::AlreadyExists) if the file exists, and the errors of
    /// [`OpenOptions::open`].
    pub async fn create_new<P: AsRef<Path>>(path: P) -> io::Result<File> {
        File::options().read(true).write(true).create_new(true).open(path).await
    }

    /// Returns options with which a file can be opened. All are `false` at first.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Wraps an open file. This may be done outside of a runtime.
    ///
    /// Positions begin at that of the descriptor.
    pub fn from_std(std: StdFile) -> File {
        File {
            operations: Operations::new(std),
            last: None,
            seeking: None,
            max_buf_size: MAX_BUF_SIZE,
            #[cfg(feature = "tokio-io")]
            seek: tokio_seek::Seek::default(),
        }
    }

    /// Writes all data and metadata of the file to the disk, after the bytes of earlier writes.
    ///
    /// # Errors
    ///
    /// Returns the error of an earlier write if nothing has returned it yet, and the errors of fsync(2).
    pub async fn sync_all(&self) -> io::Result<()> {
        self.sync("File::sync_all", StdFile::sync_all).await
    }

    /// Writes all data of the file to the disk, after the bytes of earlier writes. It may leave out metadata that is not
    /// needed to read the data.
    ///
    /// # Errors
    ///
    /// Returns the error of an earlier write if nothing has returned it yet, and the errors of fdatasync(2).
    pub async fn sync_data(&self) -> io::Result<()> {
        self.sync("File::sync_data", StdFile::sync_data).await
    }

    async fn sync(&self, function: &str, sync: fn(&StdFile) -> io::Result<()>) -> io::Result<()> {
        let flush_and_sync = move |buffers: &mut Buffers, std: &StdFile| {
            let result = buffers.flush(std).and_then(|()| sync(std));
            Ok(result.map_err(|error| Undelivered::new(error, &buffers.write_error)))
        };
        self.operations.start(function, flush_and_sync).await??.map_err(Undelivered::deliver)
    }

    /// Truncates or extends the file to a length in bytes. New bytes are zero. The position does not change.
    ///
    /// # Errors
    ///
    /// Returns the errors of ftruncate(2), for example if the file is not open for writing, and of writing bytes that
    /// could not be written before.
    pub async fn set_len(&self, size: u64) -> io::Result<()> {
        self.operations.start("File::set_len", move |buffers, std| buffers.set_len(std, size)).await?
    }

    /// Returns the metadata of the file. It comes after earlier writes, so the length includes their bytes.
    ///
    /// # Errors
    ///
    /// Returns the errors of fstat(2).
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.operations.start("File::metadata", |_, std| std.metadata()).await?
    }

    /// Returns another `File` with its own descriptor and the same position. It comes after earlier writes, so both see
    /// their bytes.
    ///
    /// Reads, writes and seeks of one file move the position for the other as well. To read at two positions, open the
    /// file twice.
    ///
    /// # Errors
    ///
    /// Returns `EMFILE` if there is no descriptor left, and an error if the position cannot be moved back over bytes
    /// that were read ahead.
    pub async fn try_clone(&self) -> io::Result<File> {
        // Careful: before the clone exists, so that no read runs ahead once it does.
        self.operations.set_cloned();
        let clone = |buffers: &mut Buffers, std: &StdFile| {
            buffers.rewind(std)?;
            std.try_clone()
        };
        let std = self.operations.start("File::try_clone", clone).await??;
        let mut file = File::from_std(std);
        file.operations.set_cloned();
        file.max_buf_size = self.max_buf_size;
        Ok(file)
    }

    /// Waits until all operations have ended, and returns the file as that of std. Its position is the one that the
    /// caller knows.
    ///
    /// The errors of earlier writes are lost, and so are bytes that could not be written. Call `flush` first to
    /// get them.
    ///
    /// Use it to pass a file to a child process, by `process::Command::stdin` or `stdout`.
    ///
    /// # Panics
    ///
    /// Panics if it has to wait and no runtime is entered on this thread.
    pub async fn into_std(self) -> StdFile {
        let mut file = self;
        loop {
            file = match file.try_into_std() {
                Ok(std) => return std,
                Err(file) => file,
            };
            // An error means that the operations have been dropped, with what they held of the file.
            _ = file.operations.start("File::into_std", |_, _| Ok(())).await;
        }
    }

    /// Returns the file as that of std, if no operation is in progress. The errors of earlier writes are lost.
    ///
    /// # Errors
    ///
    /// Returns the file itself if an operation is in progress.
    #[allow(clippy::result_large_err, reason = "the signature is that of tokio")]
    pub fn try_into_std(mut self) -> Result<StdFile, File> {
        let Operations { shared, queue } = self.operations;
        match Arc::try_unwrap(shared) {
            Ok(mut shared) => {
                // The call moves a number in the kernel, and does not wait. A file that cannot be moved back was never
                // at a position.
                _ = shared.buffers.get_mut().rewind(&shared.std);
                Ok(shared.std)
            }
            Err(shared) => {
                self.operations = Operations { shared, queue };
                Err(self)
            }
        }
    }

    /// Changes the permissions of the file.
    ///
    /// # Errors
    ///
    /// Returns the errors of fchmod(2).
    pub async fn set_permissions(&self, perm: Permissions) -> io::Result<()> {
        self.operations.start("File::set_permissions", move |_, std| std.set_permissions(perm)).await?
    }

    /// Changes the times of the last access and of the last change, after earlier writes.
    ///
    /// # Errors
    ///
    /// Returns the errors of futimens(2).
    pub async fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.operations.start("File::set_times", move |_, std| std.set_times(times)).await?
    }

    /// Changes the time of the last change, after earlier writes.
    ///
    /// # Errors
    ///
    /// Returns the errors of futimens(2).
    pub async fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time)).await
    }

    /// Sets the maximum number of bytes that are read or written by one system call. The default is 2 MiB.
    ///
    /// Each write copies as many bytes at most. Operations in progress are not affected.
    ///
    /// # Panics
    ///
    /// Panics if the number is 0.
    #[track_caller]
    pub fn set_max_buf_size(&mut self, max_buf_size: usize) {
        assert!(max_buf_size > 0, "`max_buf_size` must be greater than 0");
        self.max_buf_size = max_buf_size;
    }

    /// Returns the maximum number of bytes that are read or written by one system call.
    pub fn max_buf_size(&self) -> usize {
        self.max_buf_size
    }
}

impl From<StdFile> for File {
    fn from(std: StdFile) -> File {
        File::from_std(std)
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        File::from_std(fd.into())
    }
}

/// For operations that do not use the position, such as `send_file`. Careful: bytes of a write that was not flushed may
/// not be in the file yet.
impl Borrow<StdFile> for File {
    fn borrow(&self) -> &StdFile {
        &self.operations.shared.std
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.operations.shared.std.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.operations.shared.std.as_raw_fd()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("std", &self.operations.shared.std).finish_non_exhaustive()
    }
}
