//! `send_file` writes the bytes of a file to a stream by sendfile(2), and `copy_file` through a buffer.

use super::pump::spend;
use super::sys;
use crate::io::lent::{BUFFER_SIZE, Buffer};
use crate::net::fd_traits::AsyncWriteFd;
use crate::task::coop;
use futures_io::AsyncWrite;
use std::borrow::Borrow;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Writes `count` bytes of a file to a stream, starting at `offset`, within the kernel where that is possible. Returns
/// the number of bytes written, which is less than `count` if the file ends earlier.
///
/// The position of the file is neither used nor moved, so several calls can send the same file at the same time. The
/// writer is not flushed at the end.
///
/// On Linux, the kernel moves the bytes by sendfile(2), without copying them to user space. If the system does not have
/// sendfile(2) or refuses it, or if a `SIGPIPE` would end the process, the bytes go through a buffer, as with
/// [`copy_file`].
///
/// Careful: if the kernel does not have the bytes in memory, it reads them from the disk, and the loop is blocked until
/// they are there. If this matters, send smaller pieces, or read the file through `fs::File` (feature `fs`) and
/// [`copy`](crate::io::copy()).
///
/// The file is one of std, or an `fs::File`. Flush the latter first if it has been written to.
///
/// # Cancel safety
///
/// Not cancel safe: the number of bytes written is lost.
///
/// # Errors
///
/// Returns the errors of reading the file and of the writer, and [`WriteZero`](io::ErrorKind::WriteZero) if the writer
/// accepts no more bytes. Returns an error if `file` is a pipe or a socket, which have no offsets.
///
/// # Examples
///
/// ```
/// use runtime::io::{AsyncReadExt, AsyncWriteExt, send_file};
/// use std::fs::File;
/// # use runtime::net::{TcpListener, TcpStream};
///
/// # runtime::block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut stream, _) = listener.accept().await?;
/// let file = File::open("Cargo.toml")?;
/// let length = file.metadata()?.len();
/// assert_eq!(send_file(&file, 0, length, &mut stream).await?, length);
/// stream.close().await?;
/// # let mut text = String::new();
/// # client.read_to_string(&mut text).await?;
/// # assert!(text.contains("[package]") && text.len() as u64 == length);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn send_file<F, W>(file: &F, offset: u64, count: u64, writer: &mut W) -> io::Result<u64>
where
    F: Borrow<File> + ?Sized,
    W: AsyncWriteFd + Unpin + ?Sized,
{
    let mut sending = Sending { file: file.borrow(), offset, left: count, held: None };
    let is_sent = sys::is_available() && poll_fn(|cx| sending.poll_by_kernel(cx, &*writer)).await?;
    if !is_sent {
        poll_fn(|cx| sending.poll_by_buffer(cx, Pin::new(writer))).await?;
    }
    Ok(count - sending.left)
}

/// Writes `count` bytes of a file to any writer, starting at `offset`, through a buffer. Returns the number of bytes
/// written, which is less than `count` if the file ends earlier.
///
/// Unlike [`send_file`], this function also works with writers that the kernel cannot write to, such as a TLS stream.
/// The position of the file is neither used nor moved, and the writer is not flushed at the end. Reading from the
/// disk blocks the loop in the same way.
///
/// # Cancel safety
///
/// Not cancel safe: the number of bytes written is lost.
///
/// # Errors
///
/// Returns the same errors as [`send_file`].
///
/// # Panics
///
/// Panics if the writer reports more bytes than the length of the buffer that it was given.
///
/// # Examples
///
/// ```
/// use runtime::io::copy_file;
/// use std::fs::File;
///
/// # runtime::block_on(async {
/// let mut head = Vec::new();
/// assert_eq!(copy_file(&File::open("Cargo.toml")?, 0, 11, &mut head).await?, 11);
/// assert_eq!(head, b"[workspace]");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn copy_file<F, W>(file: &F, offset: u64, count: u64, writer: &mut W) -> io::Result<u64>
where
    F: Borrow<File> + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut sending = Sending { file: file.borrow(), offset, left: count, held: None };
    poll_fn(|cx| sending.poll_by_buffer(cx, Pin::new(writer))).await?;
    Ok(count - sending.left)
}

/// The state of one call of `send_file` or `copy_file`.
struct Sending<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
    /// The bytes at `offset` that have been read and not been written, as a range of a buffer.
    held: Option<(Buffer, Range<usize>)>,
}

impl Sending<'_> {
    /// Sends the bytes by sendfile(2). Returns `true` when no bytes are left or the file is at its end, and `false` if
    /// the kernel refuses.
    fn poll_by_kernel<W: AsyncWriteFd + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &W,
    ) -> Poll<io::Result<bool>> {
        while self.left > 0 {
            ready!(coop::poll_budget(cx));
            let mut count = 0;
            let sent = writer.poll_write_fd(cx, &mut |fd| {
                count = sys::send_file(fd, self.file, self.offset, self.left)?;
                Ok(())
            });
            match ready!(sent) {
                Ok(()) if count == 0 => break,
                Ok(()) => {
                    spend(count);
                    self.advance(count);
                }
                Err(error) if sys::is_refusal(&error) => return Poll::Ready(Ok(false)),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Writes the bytes through a buffer. Returns `Ready` when no bytes are left, or the file is at its end.
    fn poll_by_buffer<W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        while self.left > 0 {
            ready!(coop::poll_budget(cx));
            match ready!(self.poll_piece(cx, writer.as_mut()))? {
                0 => break,
                count => self.advance(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the held bytes, or reads some if there are none. Returns `Ready` with the number of bytes written, which
    /// is 0 at the end of the file.
    fn poll_piece<W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<usize>> {
        let (buffer, held) = match self.held.take() {
            Some(held) => held,
            None => {
                let mut buffer = Buffer::take(BUFFER_SIZE);
                let room = BUFFER_SIZE.min(usize::try_from(self.left).unwrap_or(usize::MAX));
                let count = read_at(self.file, &mut buffer[..room], self.offset)?;
                if count == 0 {
                    return Poll::Ready(Ok(0));
                }
                (buffer, 0..count)
            }
        };
        let Poll::Ready(written) = writer.poll_write(cx, &buffer[held.clone()]) else {
            self.held = Some((buffer, held));
            return Poll::Pending;
        };
        let count = written?;
        assert!(count <= held.len(), "the writer reports more bytes than it was given");
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        if count < held.len() {
            self.held = Some((buffer, held.start + count..held.end));
        }
        Poll::Ready(Ok(count))
    }

    fn advance(&mut self, count: usize) {
        coop::spend();
        self.offset += count as u64;
        self.left -= count as u64;
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
