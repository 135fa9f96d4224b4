//! The options of a connection, see tcp(7) and socket(7). To set an option that is not here, pass the stream to
//! `socket2::SockRef::from`.

use super::stream::TcpStream;
use crate::net::option_values;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;

impl TcpStream {
    /// Returns `true` if small writes are sent at once. See [`set_nodelay`](TcpStream::set_nodelay).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.get().nodelay()
    }

    /// Sets whether small writes are sent at once (`TCP_NODELAY`), instead of being held back until the peer has
    /// acknowledged the earlier ones.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.get().set_nodelay(nodelay)
    }

    /// Returns the time for which a close tries to send the remaining data. See [`set_linger`](TcpStream::set_linger).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self).linger()
    }

    /// Sets the time for which a close tries to send the remaining data (`SO_LINGER`).
    ///
    /// With `None`, the default, the data is sent in the background. With zero, it is thrown away and the connection is
    /// reset. With any other time, counted in seconds and rounded up, **dropping the stream blocks the thread**, and
    /// with it the loop, until all data is sent or the time is over. A time that is too long for the system is limited:
    /// to 68 years on Linux, 327 seconds on macOS and 9 hours on the BSDs.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self).set_linger(linger.map(option_values::linger))
    }

    /// Makes a close throw away the remaining data and reset the connection. Unlike other values of
    /// [`set_linger`](TcpStream::set_linger), this does not block.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        SockRef::from(self).set_linger(Some(Duration::ZERO))
    }

    /// Returns the TTL of sent packets: the number of routers that a packet may pass. See
    /// [`set_ttl`](TcpStream::set_ttl).
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get().ttl()
    }

    /// Sets the TTL of sent packets: the number of routers that a packet may pass (`IP_TTL`). This applies to IPv4
    /// only.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails, such as `EINVAL` for 0, or more than 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get().set_ttl(option_values::field(ttl)?)
    }

    /// Returns the time without traffic after which the system sends the first keepalive probe, or `None` if probes are
    /// off.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        let socket = SockRef::from(self);
        if socket.keepalive()? { socket.tcp_keepalive_time().map(Some) } else { Ok(None) }
    }

    /// Sets the time without traffic after which the system sends the first keepalive probe, in seconds rounded up
    /// (`SO_KEEPALIVE`, `TCP_KEEPIDLE`). With `None`, the default, no probes are sent.
    ///
    /// The interval and number of probes after which the connection is broken stay as the system has them, on Linux
    /// nine times 75 seconds, unless `set_keepalive_interval` and `set_keepalive_count` change them.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails, such as `EINVAL` for a duration of zero, or of more than 32,767
    /// seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// # use runtime::net::{TcpListener, TcpStream};
    /// # use std::time::Duration;
    /// # runtime::block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_keepalive(Some(Duration::from_secs(60)))?;
    /// assert_eq!(stream.keepalive()?, Some(Duration::from_secs(60)));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn set_keepalive(&self, idle: Option<Duration>) -> io::Result<()> {
        let socket = SockRef::from(self);
        match idle {
            Some(idle) => {
                socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(option_values::whole_seconds(idle)))
            }
            None => socket.set_keepalive(false),
        }
    }
}

// How received data is acknowledged.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod quickack {
    use crate::net::TcpStream;
    use socket2::SockRef;
    use std::io;

    impl TcpStream {
        /// Returns `true` if received data is acknowledged at once. See [`set_quickack`](TcpStream::set_quickack).
        ///
        /// # Errors
        ///
        /// Returns an error if getsockopt(2) fails.
        pub fn quickack(&self) -> io::Result<bool> {
            SockRef::from(self).tcp_quickack()
        }

        /// Sets whether received data is acknowledged at once (`TCP_QUICKACK`), instead of together with an answer. The
        /// system may change the option again at any time, so set it anew after each read.
        ///
        /// # Errors
        ///
        /// Returns an error if setsockopt(2) fails.
        pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
            SockRef::from(self).set_tcp_quickack(quickack)
        }
    }
}
