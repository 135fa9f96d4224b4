//! A file's bytes into a stream.

use super::detour::{self, Sent};
use super::lent::{BUFFER_SIZE, Buffer};
use crate::task::coop;
use futures_io::AsyncWrite;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Writes `count` bytes of a file, from `offset` on, and tells how many that were: fewer if the file
/// ends before. Neither uses nor moves the file's own position, so several may send of one file at once.
///
/// Into a socket or pipe of [`net`](crate::net), on Linux, the kernel moves the bytes by sendfile(2),
/// without copying them; not where a `SIGPIPE` would end the process, which sendfile would raise.
/// Otherwise they are read and written, a buffer at a time. The writer is not flushed at the end.
///
/// What the kernel does not have in memory it fetches from the disk meanwhile, and the loop waits for
/// that. Where this matters, send smaller pieces, or have a thread read the file
/// ([`spawn_blocking`](crate::task::spawn_blocking)).
///
/// # Cancel safety
///
/// Not cancel safe: it remains unknown how much has been written.
///
/// # Errors
///
/// Those of reading the file, among them that of a pipe or a socket that it has no offsets; those of
/// the writer; and [`WriteZero`](io::ErrorKind::WriteZero) if the writer takes nothing any more.
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
pub async fn send_file<W>(file: &File, offset: u64, count: u64, writer: &mut W) -> io::Result<u64>
where
    W: AsyncWrite + Unpin + ?Sized,
{
    let kernel_sends = detour::takes_files::<W>() && detour::is_open();
    // The order that the kernel gets owns what it sends of. Without a descriptor to spare there is no order.
    let own = if kernel_sends { file.try_clone().ok().map(Arc::new) } else { None };
    let mut sending = Sending { file, own, offset, left: count, held: None };
    poll_fn(|cx| sending.poll(cx, Pin::new(writer))).await?;
    Ok(count - sending.left)
}

struct Sending<'a> {
    file: &'a File,
    /// A duplicate, as long as the kernel sends.
    own: Option<Arc<File>>,
    offset: u64,
    left: u64,
    /// What has been read, from `offset` on, and not been written.
    held: Option<(Buffer, Range<usize>)>,
}

impl Sending<'_> {
    /// Ready when nothing is left, or the file is at its end.
    fn poll<W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        while self.left > 0 {
            ready!(coop::poll_budget(cx));
            let sent = match &self.own {
                Some(file) => {
                    match ready!(detour::poll_send_file(cx, file, self.offset, self.left, writer.as_mut()))? {
                        Sent::By(count) => count,
                        Sent::Refused => {
                            self.own = None;
                            continue;
                        }
                    }
                }
                None => ready!(self.poll_by_buffer(cx, writer.as_mut()))?,
            };
            if sent == 0 {
                break;
            }
            coop::spend();
            self.offset += sent as u64;
            self.left -= sent as u64;
        }
        Poll::Ready(Ok(()))
    }

    /// Ready with the number of bytes that have been written; 0 at the end of the file.
    fn poll_by_buffer<W: AsyncWrite + ?Sized>(
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
        assert!(count <= held.len(), "the writer claims to have written more than it was given");
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        if count < held.len() {
            self.held = Some((buffer, held.start + count..held.end));
        }
        Poll::Ready(Ok(count))
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
