//! Opening pipes that have a name.

use super::{Receiver, Sender, end};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Options for opening a pipe that has a name (a FIFO, see fifo(7)).
///
/// # Examples
///
/// ```no_run
/// use runtime::net::unix::pipe;
///
/// let requests = pipe::OpenOptions::new().open_receiver("/run/service/requests")?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    read_write: bool,
    unchecked: bool,
}

impl OpenOptions {
    /// Creates the default options: the file is checked, and each end is opened for one direction.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Sets whether to skip the check that the file is a pipe. The default is `false`.
    ///
    /// The reads and writes then have the effects that they have on the file, such as a device. The runtime cannot wait
    /// for a regular file.
    pub fn unchecked(&mut self, value: bool) -> &mut OpenOptions {
        self.unchecked = value;
        self
    }

    /// Opens the reading end. This never waits for a writer.
    ///
    /// As long as there is no writer, reads return the end of the stream. If the caller continues to read, it gets the
    /// bytes of the next writer. On Linux, [`read_write`](OpenOptions::read_write) prevents the end.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is not a pipe, and the errors of open(2).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn open_receiver(&self, path: impl AsRef<Path>) -> io::Result<Receiver> {
        let file = self.open(fs::OpenOptions::new().read(true).write(self.read_write), path.as_ref())?;
        Receiver::from_file_unchecked(file)
    }

    /// Opens the writing end. There must be a reader already.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is not a pipe; `ENXIO` if it is not open for
    /// reading; and the errors of open(2).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn open_sender(&self, path: impl AsRef<Path>) -> io::Result<Sender> {
        let file = self.open(fs::OpenOptions::new().write(true).read(self.read_write), path.as_ref())?;
        Sender::from_file_unchecked(file)
    }

    fn open(&self, options: &mut fs::OpenOptions, path: &Path) -> io::Result<File> {
        // Without this flag, opening waits for the other end.
        let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
        if self.unchecked { Ok(file) } else { end::check_is_pipe(file).map(File::from) }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl OpenOptions {
    /// Sets whether each end is opened for both reading and writing, which Linux allows. The default is `false`.
    ///
    /// With this, a sender can be opened before there is a reader, and a receiver does not reach the end of the stream
    /// when the last sender is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::io::{AsyncReadExt, AsyncWriteExt};
    /// use runtime::net::unix::pipe;
    ///
    /// # let path = std::env::temp_dir().join(format!("runtime-doc-fifo-{}", std::process::id()));
    /// # let made = std::process::Command::new("mkfifo").arg(&path).status()?;
    /// # assert!(made.success());
    /// # runtime::block_on(async {
    /// let mut receiver = pipe::OpenOptions::new().read_write(true).open_receiver(&path)?;
    /// for _ in 0..2 {
    ///     let mut sender = pipe::OpenOptions::new().open_sender(&path)?;
    ///     sender.write_all(b"next").await?;
    ///     drop(sender);
    ///     receiver.read_exact(&mut [0; 4]).await?;
    /// }
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// # std::io::Result::Ok(())
    /// ```
    pub fn read_write(&mut self, value: bool) -> &mut OpenOptions {
        self.read_write = value;
        self
    }
}
