//! As much of epoll as a hand-written loop needs: add, wait, accept, and an eventfd.
//!
//! This does not use the selector of the library: the floor must not depend on what is measured. The types of the
//! standard library own the descriptors.

#![expect(unsafe_code, reason = "system calls; each block is one call on memory owned here")]

use std::fs::File;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The descriptor is readable, or closed by the peer; edge-triggered.
pub(crate) const READABLE: u32 = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET) as u32;

/// The descriptor is writable; edge-triggered.
pub(crate) const WRITABLE: u32 = (libc::EPOLLOUT | libc::EPOLLET) as u32;

/// The event of the descriptor that was added with `token`.
#[derive(Clone, Copy)]
pub(crate) struct Event {
    pub(crate) token: usize,
    flags: u32,
}

impl Event {
    pub(crate) fn is_writable(self) -> bool {
        self.flags & libc::EPOLLOUT as u32 != 0
    }

    /// Returns whether the peer will send no more, or the connection is broken.
    pub(crate) fn is_read_closed(self) -> bool {
        self.flags & (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0
    }
}

/// An epoll and room for the events of one wait.
pub(crate) struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// Makes an epoll whose waits return up to `capacity` events.
    pub(crate) fn new(capacity: usize) -> io::Result<Epoll> {
        // SAFETY: the call takes no memory and returns a descriptor that is ours alone.
        let fd = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Epoll { fd, events: Vec::with_capacity(capacity) })
    }

    /// Reports `interest` in `fd` as events with `token`, until the descriptor is closed.
    pub(crate) fn add(&self, fd: &impl AsFd, interest: u32, token: usize) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd.as_fd(), interest, token)
    }

    /// Replaces the interest in `fd`. What is ready already is reported again.
    pub(crate) fn modify(&self, fd: &impl AsFd, interest: u32, token: usize) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd.as_fd(), interest, token)
    }

    fn control(&self, verb: i32, fd: BorrowedFd<'_>, interest: u32, token: usize) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest, u64: token as u64 };
        // SAFETY: both descriptors are open while borrowed, and `event` outlives the call.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), verb, fd.as_raw_fd(), &mut event) })?;
        Ok(())
    }

    /// Waits up to `timeout_ms`, or for ever if that is negative, and returns the number of events.
    pub(crate) fn wait(&mut self, timeout_ms: i32) -> io::Result<usize> {
        let capacity = self.events.capacity();
        self.events.clear();
        let fd = self.fd.as_raw_fd();
        // SAFETY: the vector has room for `capacity` entries and the kernel writes no more than that.
        let count = unsafe { libc::epoll_wait(fd, self.events.as_mut_ptr(), capacity as i32, timeout_ms) };
        let count = match check(count) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            count => count? as usize,
        };
        // SAFETY: the kernel has written the first `count` entries.
        unsafe { self.events.set_len(count) };
        Ok(count)
    }

    /// Returns the event at `index` of the last wait.
    pub(crate) fn event(&self, index: usize) -> Event {
        let event = self.events[index];
        Event { token: event.u64 as usize, flags: event.events }
    }
}

/// Accepts one connection with a single system call: non-blocking and close-on-exec.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let fd = listener.as_raw_fd();
    // SAFETY: the listener is open while borrowed; null asks for no address.
    let fd = check(unsafe { libc::accept4(fd, std::ptr::null_mut(), std::ptr::null_mut(), flags) })?;
    // SAFETY: the descriptor was just made and is ours alone.
    Ok(TcpStream::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Makes `bind` choose the address alone. `connect` then finds a port that is free for its peer, which is quick even
/// among thousands that were in use a moment ago.
pub(crate) fn choose_port_at_connect(socket: &impl AsFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    let fd = socket.as_fd().as_raw_fd();
    let len = size_of_val(&on) as libc::socklen_t;
    let option = libc::IP_BIND_ADDRESS_NO_PORT;
    // SAFETY: the socket is open while borrowed, and `on` is an int of the length given.
    check(unsafe { libc::setsockopt(fd, libc::SOL_IP, option, (&raw const on).cast(), len) })?;
    Ok(())
}

/// A descriptor that becomes readable when it is signalled.
pub(crate) struct EventFd(File);

impl EventFd {
    pub(crate) fn new() -> io::Result<EventFd> {
        // SAFETY: the call takes no memory and returns a descriptor that is ours alone.
        let fd =
            unsafe { OwnedFd::from_raw_fd(check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?) };
        Ok(EventFd(File::from(fd)))
    }

    /// Makes the descriptor readable, as an edge. It need not be read before the next one.
    pub(crate) fn signal(&self) -> io::Result<()> {
        (&self.0).write_all(&1_u64.to_ne_bytes())
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
