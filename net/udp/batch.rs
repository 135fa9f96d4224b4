//! The memory for many received datagrams and their addresses. It is allocated once and used again and again.

use super::message::{Arrival, MOST, Outcome};
use super::sys;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::slice;

/// A buffer for many datagrams, which [`UdpSocket::recv_many`](super::UdpSocket::recv_many) fills.
///
/// It owns its memory, and may be used with any socket, one call after the other. Each call first removes the datagrams
/// of the previous one, and allocates nothing.
///
/// # Examples
///
/// ```
/// use runtime::net::UdpSocket;
/// use runtime::net::udp::Batch;
///
/// # runtime::block_on(async {
/// let socket = UdpSocket::bind("127.0.0.1:0").await?;
/// let client = UdpSocket::bind("127.0.0.1:0").await?;
/// for word in [&b"one"[..], b"two", b"three"] {
///     client.send_to(word, socket.local_addr()?).await?;
/// }
///
/// let mut batch = Batch::new(16, 1500);
/// let mut words = Vec::new();
/// while words.len() < 3 {
///     socket.recv_many(&mut batch).await?;
///     for datagram in &batch {
///         assert_eq!(datagram.from(), client.local_addr()?);
///         words.push(datagram.data().to_vec());
///     }
/// }
/// assert_eq!(words, [&b"one"[..], b"two", b"three"]);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct Batch {
    memory: Box<[u8]>,
    arrivals: Box<[Arrival]>,
    size: usize,
    count: usize,
}

impl Batch {
    /// The maximum capacity of a batch. With this many datagrams, the cost of the system call is small compared with
    /// that of each datagram.
    pub const MOST: usize = MOST;

    /// Creates a batch with room for `count` datagrams of up to `size` bytes each. Longer datagrams are cut off when
    /// they are received.
    ///
    /// # Panics
    ///
    /// Panics if `count` is 0 or more than [`Batch::MOST`], or if `size` is 0.
    #[track_caller]
    pub fn new(count: usize, size: usize) -> Batch {
        assert!((1..=MOST).contains(&count), "a batch has room for 1 to {MOST} datagrams, not for {count}");
        assert!(size > 0, "datagrams need room: the size must be at least 1 byte");
        let bytes = count.checked_mul(size).expect("the size of the batch overflows");
        Batch {
            memory: vec![0; bytes].into_boxed_slice(),
            arrivals: vec![Arrival::NONE; count].into_boxed_slice(),
            size,
            count: 0,
        }
    }

    /// Returns the number of datagrams that were received.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns `true` if no datagram was received.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the maximum number of datagrams.
    pub fn capacity(&self) -> usize {
        self.arrivals.len()
    }

    /// Returns the maximum number of bytes of each datagram.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the datagram at position `index`, counted from 0, in the order of arrival.
    pub fn get(&self, index: usize) -> Option<Received<'_>> {
        self.iter().nth(index)
    }

    /// Returns an iterator over the datagrams that were received, in the order of arrival.
    pub fn iter(&self) -> Iter<'_> {
        Iter { pieces: self.memory.chunks_exact(self.size), arrivals: self.arrivals[..self.count].iter() }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// Marks a datagram as unclear, as the kernel would.
    #[cfg(test)]
    pub(super) fn set_unclear(&mut self, index: usize) {
        self.arrivals[index].is_unclear = true;
    }

    /// Receives datagrams with one system call.
    pub(super) fn receive(&mut self, socket: impl AsFd) -> Outcome {
        let (count, error) = sys::receive(socket, &mut self.memory, self.size, &mut self.arrivals)?;
        self.count = count;
        Ok((count, error))
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = Received<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// An iterator over the datagrams of a [`Batch`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    pieces: slice::ChunksExact<'a, u8>,
    arrivals: slice::Iter<'a, Arrival>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Received<'a>;

    fn next(&mut self) -> Option<Received<'a>> {
        self.nth(0)
    }

    fn nth(&mut self, n: usize) -> Option<Received<'a>> {
        let arrival = self.arrivals.nth(n)?;
        Some(Received { data: &self.pieces.nth(n)?[..arrival.length], arrival })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.arrivals.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// A received datagram in a [`Batch`].
#[derive(Clone, Copy)]
pub struct Received<'a> {
    data: &'a [u8],
    arrival: &'a Arrival,
}

impl<'a> Received<'a> {
    /// Returns the bytes of the datagram.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Returns the address of the sender, or `0.0.0.0:0` if the system does not report it.
    pub fn from(&self) -> SocketAddr {
        self.arrival.from
    }

    /// Returns `true` if the datagram was longer than its room in the batch, and has been cut off.
    ///
    /// It is also `true` if this may be several datagrams that were received as one, and the system had no room to
    /// report where each of them ends. Such a datagram is lost: it has no [segments](Received::segments). This does not
    /// happen on Linux as long as the kernel sends no more control messages with a datagram than Linux 6.18 does.
    pub fn is_truncated(&self) -> bool {
        self.arrival.is_truncated || self.arrival.is_unclear
    }

    /// Returns the size of each segment in bytes if several datagrams of one sender were received as one. The last
    /// segment may be shorter. See [`UdpSocket::set_coalescing`](super::UdpSocket::set_coalescing).
    pub fn segment_size(&self) -> Option<usize> {
        self.arrival.segment_size.map(NonZeroUsize::get)
    }

    /// Returns an iterator over the datagrams as they were sent: most often there is one. There is none if it is [not
    /// known](Received::is_truncated) where they end.
    pub fn segments(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // An empty datagram counts as one, too.
        let (one, many) = match self.arrival.segment_size {
            _ if self.arrival.is_unclear => (None, [].chunks(1)),
            Some(size) if size.get() < self.data.len() => (None, self.data.chunks(size.get())),
            _ => (Some(self.data), [].chunks(1)),
        };
        one.into_iter().chain(many)
    }
}

impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("length", &self.data.len())
            .field("from", &self.from())
            .field("is_truncated", &self.is_truncated())
            .field("segment_size", &self.segment_size())
            .finish()
    }
}
