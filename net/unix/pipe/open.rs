//! Opening pipes that have a name.

use super::{Receiver, Sender, end};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// How to open a pipe that has a name (a FIFO, see fifo(7)).
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
    /// With checks, and each end for what it is.
    pub fn new() -> OpenOptions {
        OpenOptions::default()
    }

    /// Whether to pass over the check that the file is a pipe.
    ///
    /// On something else, such as a device, reading and writing do whatever they do there. A regular file
    /// cannot be waited for.
    pub fn unchecked(&mut self, value: bool) -> &mut OpenOptions {
        self.unchecked = value;
        self
    }

    /// Opens the end that reads. It never waits for one that writes.
    ///
    /// As long as nobody writes, reading comes to the end of the stream; who then goes on reading gets
    /// what the next writer writes. On Linux [`read_write`](OpenOptions::read_write) prevents the end.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is not a pipe, and the errors of open(2).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn open_receiver(&self, path: impl AsRef<Path>) -> io::Result<Receiver> {
        let file = self.open(fs::OpenOptions::new().read(true).write(self.read_write), path.as_ref())?;
        Receiver::from_file_unchecked(file)
    }

    /// Opens the end that writes. Somebody must have it open for reading.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`](io::ErrorKind::InvalidInput) if the file is not a pipe; `ENXIO` if nobody has it open
    /// for reading; and the errors of open(2).
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn open_sender(&self, path: impl AsRef<Path>) -> io::Result<Sender> {
        let file = self.open(fs::OpenOptions::new().write(true).read(self.read_write), path.as_ref())?;
        Sender::from_file_unchecked(file)
    }

    fn open(&self, options: &mut fs::OpenOptions, path: &Path) -> io::Result<File> {
        // Or else opening waits for the other end.
        let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
        if self.unchecked { Ok(file) } else { end::check_is_pipe(file).map(File::from) }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl OpenOptions {
    /// Whether to open either end for both, reading and writing, as Linux allows.
    ///
    /// So a sender can be opened though nobody reads yet, and a receiver does not come to the end of the
    /// stream when the last of the others has gone.
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
