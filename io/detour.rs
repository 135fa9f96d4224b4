//! The way round user space: how a copy has two descriptors splice, which it knows only as something
//! that reads and something that writes.
//!
//! The traits of futures-io know buffers alone, and a generic function cannot tell one type from the
//! other. But an *empty* read or write of ours does nothing, at the price of a branch that is there
//! anyway. So a copy leaves an [`Order`] with the thread, and makes an empty read: what comes to
//! `Registered` with an order outstanding fills the order's pipe instead, and waits for readiness as
//! ever; an empty write drains it, or takes the bytes of a file. Whoever does not know of orders leaves it where it is.
//!
//! What a wrapper would do to the bytes must not be passed by, and for some writers an empty write
//! has a meaning (a last chunk, say). So an order is given only to types of [`net`](crate::net), and
//! to references to them, which is told by their names. That a name is no identity does no harm: the
//! worst that a namesake can get is an empty read.
//!
//! Where there is no splice(2), `detour_absent.rs` stands in the place of this file.

pub(super) use super::splice::Pipe;
use super::splice::{is_refusal, send_file, sigpipe_is_deadly};
use crate::net::transfer::{ReadFd, WriteFd};
use crate::runtime::io::reactor::Direction;
use crate::runtime::io::registered::Registered;
use crate::task::coop;
use futures_io::{AsyncRead, AsyncWrite};
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What has come of an order to fill a pipe.
pub(super) enum Filled {
    /// There are bytes in the pipe.
    With(Pipe),
    /// The kernel has nothing to move. An ordinary read has to show whether the source is drained, or
    /// even at its end: before an urgent mark, splice says either of a socket that has more.
    Nothing,
    /// All pipes are in use.
    NoPipe,
    /// It is to be done by a buffer.
    Refused,
}

enum Order {
    Fill(Option<Poll<io::Result<Filled>>>),
    Drain(Pipe, Option<Poll<io::Result<usize>>>),
    SendFile { file: Arc<File>, offset: u64, count: u64, sent: Option<Poll<io::Result<usize>>> },
}

thread_local! {
    // Not dropped by the thread's end, so that copies work in the destructors of other thread-locals: who
    // leaves an order takes it back.
    static ORDER: Cell<ManuallyDrop<Option<Order>>> = const { Cell::new(ManuallyDrop::new(None)) };
}

fn take() -> Option<Order> {
    ManuallyDrop::into_inner(ORDER.replace(ManuallyDrop::new(None)))
}

fn put(order: Order) {
    drop(ManuallyDrop::into_inner(ORDER.replace(ManuallyDrop::new(Some(order)))));
}

/// Takes back an order that has been carried out, or not; also in a panic.
struct Outstanding;

impl Drop for Outstanding {
    fn drop(&mut self) {
        drop(take());
    }
}

/// A read without a buffer.
#[cold]
pub(crate) fn poll_read<T: ReadFd>(io: &Registered<T>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    match take() {
        Some(Order::Fill(_)) => {
            let filled = io.poll_io(cx, Direction::Read, |source| fill(source));
            put(Order::Fill(Some(filled)));
        }
        Some(order) => put(order),
        None => {}
    }
    Poll::Ready(Ok(0))
}

/// A write without a buffer.
#[cold]
pub(crate) fn poll_write<T: WriteFd>(io: &Registered<T>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    match take() {
        Some(Order::Drain(mut pipe, _)) => {
            let drained = io.poll_io(cx, Direction::Write, |sink| pipe.drain(sink.as_fd()));
            put(Order::Drain(pipe, Some(drained)));
        }
        Some(Order::SendFile { file, offset, count, .. }) => {
            let sent = io.poll_io(cx, Direction::Write, |sink| send_file(sink.as_fd(), &file, offset, count));
            put(Order::SendFile { file, offset, count, sent: Some(sent) });
        }
        Some(order) => put(order),
        None => {}
    }
    Poll::Ready(Ok(0))
}

fn fill(source: &impl ReadFd) -> io::Result<Filled> {
    let Some(mut pipe) = Pipe::take() else {
        return Ok(Filled::NoPipe);
    };
    match pipe.fill(source.as_fd()) {
        Ok(0) => Ok(Filled::Nothing),
        Ok(count) => {
            spend(count);
            Ok(Filled::With(pipe))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Filled::Nothing),
        Err(error) if is_refusal(&error) => Ok(Filled::Refused),
        Err(error) => Err(error),
    }
}

/// More than one operation's worth: the others are to have their turn in time.
fn spend(count: usize) {
    (0..count / (64 * 1024)).for_each(|_| coop::spend());
}

/// Has a reader fill a pipe.
pub(super) fn poll_fill<R: AsyncRead + ?Sized>(
    cx: &mut Context<'_>,
    reader: Pin<&mut R>,
) -> Poll<io::Result<Filled>> {
    let outstanding = Outstanding;
    put(Order::Fill(None));
    let _ = reader.poll_read(cx, &mut []);
    let order = take();
    drop(outstanding);
    match order {
        Some(Order::Fill(Some(filled))) => filled,
        _ => Poll::Ready(Ok(Filled::Refused)),
    }
}

/// Has a writer drain a pipe. Ready with an empty pipe, or with its bytes, which the writer refuses.
pub(super) fn poll_drain<W: AsyncWrite + ?Sized>(
    cx: &mut Context<'_>,
    pipe: Pipe,
    writer: Pin<&mut W>,
) -> (Option<Pipe>, Poll<io::Result<Drained>>) {
    let outstanding = Outstanding;
    put(Order::Drain(pipe, None));
    let _ = writer.poll_write(cx, &[]);
    let order = take();
    drop(outstanding);
    match order {
        Some(Order::Drain(pipe, Some(Poll::Ready(Err(error))))) if is_refusal(&error) => {
            (None, Poll::Ready(pipe.read_all().map(Drained::Refused)))
        }
        Some(Order::Drain(pipe, Some(drained))) => (Some(pipe), drained.map_ok(Drained::By)),
        Some(Order::Drain(pipe, None)) => (None, Poll::Ready(pipe.read_all().map(Drained::Refused))),
        _ => unreachable!("an order to drain comes back as one"),
    }
}

/// What has come of an order to drain a pipe.
pub(super) enum Drained {
    /// So many bytes have been written.
    By(usize),
    /// These have to be written.
    Refused(Vec<u8>),
}

/// Has a writer take some bytes of a file.
pub(super) fn poll_send_file<W: AsyncWrite + ?Sized>(
    cx: &mut Context<'_>,
    file: &Arc<File>,
    offset: u64,
    count: u64,
    writer: Pin<&mut W>,
) -> Poll<io::Result<Sent>> {
    let outstanding = Outstanding;
    put(Order::SendFile { file: file.clone(), offset, count, sent: None });
    let _ = writer.poll_write(cx, &[]);
    let order = take();
    drop(outstanding);
    match order {
        Some(Order::SendFile { sent: Some(Poll::Ready(Err(error))), .. }) if is_refusal(&error) => {
            Poll::Ready(Ok(Sent::Refused))
        }
        Some(Order::SendFile { sent: Some(sent), .. }) => sent.map_ok(|count| {
            spend(count);
            Sent::By(count)
        }),
        _ => Poll::Ready(Ok(Sent::Refused)),
    }
}

/// What has come of an order to send of a file.
pub(super) enum Sent {
    /// So many bytes have been written. None: the file is at its end.
    By(usize),
    /// They are to be read and written.
    Refused,
}

/// Whether a type can be had to send of a file: it is ours.
pub(super) fn takes_files<W: ?Sized>() -> bool {
    is_of_net(std::any::type_name::<W>())
}

/// Whether two types can be had to splice: both are ours.
pub(super) fn connects<R: ?Sized, W: ?Sized>() -> bool {
    is_of_net(std::any::type_name::<R>()) && is_of_net(std::any::type_name::<W>())
}

/// Whether it may be done at all.
pub(super) fn is_open() -> bool {
    !sigpipe_is_deadly()
}

fn is_of_net(mut name: &str) -> bool {
    while let Some(referent) = name.strip_prefix('&') {
        name = referent.strip_prefix("mut ").unwrap_or(referent);
    }
    name.starts_with("runtime::net::")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::TcpStream;
    use crate::net::tcp::{OwnedReadHalf, ReadHalf, WriteHalf};
    use futures_lite::io::{BufReader, Take};
    use std::os::fd::AsFd;

    #[test]
    fn sockets_are_told_from_what_is_wrapped_around_them() {
        assert!(connects::<TcpStream, &TcpStream>());
        assert!(connects::<&mut TcpStream, &mut &TcpStream>());
        assert!(connects::<ReadHalf<'_>, &mut WriteHalf<'_>>());
        assert!(connects::<OwnedReadHalf, TcpStream>());
        assert!(!connects::<BufReader<TcpStream>, TcpStream>());
        assert!(!connects::<TcpStream, Box<TcpStream>>());
        assert!(!connects::<&mut Take<TcpStream>, TcpStream>());
        assert!(!connects::<dyn AsyncRead, dyn AsyncWrite>());
    }

    #[test]
    fn who_knows_no_orders_leaves_none_behind() {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(matches!(
            poll_fill(&mut cx, Pin::new(&mut futures_lite::io::empty())),
            Poll::Ready(Ok(Filled::Refused))
        ));
        assert!(take().is_none());
        let (reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, b"kept").unwrap();
        let mut pipe = crate::block_on(async { Pipe::take().unwrap() });
        pipe.fill(reader.as_fd()).unwrap();
        let (pipe, drained) = poll_drain(&mut cx, pipe, Pin::new(&mut futures_lite::io::sink()));
        assert!(
            pipe.is_none() && matches!(drained, Poll::Ready(Ok(Drained::Refused(bytes))) if bytes == b"kept")
        );
        assert!(take().is_none());
    }
}
