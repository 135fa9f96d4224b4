//! Where many datagrams are received: memory and addresses, made once and used again and again.

use super::sys::{Arrival, MOST, Outcome, receive};
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::slice;

/// Room for many datagrams, for [`UdpSocket::recv_many`](super::UdpSocket::recv_many); and then those
/// that have come.
///
/// It owns the memory, and may be used with any socket, one call after the other. Each call begins by
/// forgetting what came before, and allocates nothing.
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
    /// How many datagrams a batch holds at most: a system call for so many costs hardly more than
    /// what is to be done for each of them.
    pub const MOST: usize = MOST;

    /// Makes room for `count` datagrams of up to `size` bytes each. What is longer is cut off when it
    /// comes.
    ///
    /// # Panics
    ///
    /// Panics if `count` is 0 or more than [`Batch::MOST`], or if `size` is 0.
    #[track_caller]
    pub fn new(count: usize, size: usize) -> Batch {
        assert!((1..=MOST).contains(&count), "a batch has room for 1 to {MOST} datagrams, not for {count}");
        assert!(size > 0, "datagrams need room: give a size of at least 1 byte");
        let bytes = count.checked_mul(size).expect("a batch of more bytes than there are");
        Batch {
            memory: vec![0; bytes].into_boxed_slice(),
            arrivals: vec![Arrival::NONE; count].into_boxed_slice(),
            size,
            count: 0,
        }
    }

    /// How many datagrams have come.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none has come.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many datagrams it has room for.
    pub fn capacity(&self) -> usize {
        self.arrivals.len()
    }

    /// How many bytes of each it has room for.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The datagram that came as number `index`, counted from 0.
    pub fn get(&self, index: usize) -> Option<Received<'_>> {
        self.iter().nth(index)
    }

    /// The datagrams that have come, in the order in which they did.
    pub fn iter(&self) -> Iter<'_> {
        Iter { pieces: self.memory.chunks_exact(self.size), arrivals: self.arrivals[..self.count].iter() }
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// As if the kernel had said so.
    #[cfg(test)]
    pub(super) fn set_unclear(&mut self, index: usize) {
        self.arrivals[index].is_unclear = true;
    }

    /// One system call.
    pub(super) fn receive(&mut self, socket: impl AsFd) -> Outcome {
        let (count, error) = receive(socket, &mut self.memory, self.size, &mut self.arrivals)?;
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

/// The datagrams of a [`Batch`].
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

/// A datagram that has come, in a [`Batch`].
#[derive(Clone, Copy)]
pub struct Received<'a> {
    data: &'a [u8],
    arrival: &'a Arrival,
}

impl<'a> Received<'a> {
    /// What is in it.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Who sent it. Where the system does not say, that is `0.0.0.0:0`.
    pub fn from(&self) -> SocketAddr {
        self.arrival.from
    }

    /// Returns whether it was longer than there was room for, and has been cut off.
    ///
    /// It is also `true` if the datagram may be several in one, and the system had no room to say where each of them
    /// ends. Such a datagram is lost: it has no [segments](Received::segments). On a Linux that has no more to tell
    /// along with a datagram than 6.18 this does not happen.
    pub fn is_truncated(&self) -> bool {
        self.arrival.is_truncated || self.arrival.is_unclear
    }

    /// If it is several datagrams of one sender in one, how many bytes each of them has; the last may
    /// have fewer. See [`UdpSocket::set_coalescing`](super::UdpSocket::set_coalescing).
    pub fn segment_size(&self) -> Option<usize> {
        self.arrival.segment_size.map(NonZeroUsize::get)
    }

    /// The datagrams as they were sent: most often it is one. None if it [cannot be known](Received::is_truncated)
    /// where they end.
    pub fn segments(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // An empty datagram is one as well.
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
