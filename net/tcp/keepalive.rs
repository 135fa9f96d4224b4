//! The times and the number of keepalive probes, on systems where they can be set.
//!
//! Keepalive probes tell a connection whose peer has vanished from one that is only silent. The first probe is sent
//! after the *idle* time, further ones follow at the *interval*, and after *count* of them without an answer the
//! connection is broken. Then a read fails with `ETIMEDOUT`.

use super::socket::TcpSocket;
use super::stream::TcpStream;
use crate::net::option_values::{probes, whole_seconds};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;

/// Implements the options for a type that has a socket.
macro_rules! keepalive_methods {
    ($($type:ty),*) => {$(
        impl $type {
            /// Returns the time between two keepalive probes.
            ///
            /// # Errors
            ///
            /// Returns an error if getsockopt(2) fails.
            pub fn keepalive_interval(&self) -> io::Result<Duration> {
                SockRef::from(self).tcp_keepalive_interval()
            }

            /// Sets the time between two keepalive probes (`TCP_KEEPINTVL`), in seconds rounded up, and turns probes
            /// on.
            ///
            /// # Errors
            ///
            /// Returns an error if setsockopt(2) fails, such as `EINVAL` for a duration of zero, or of more than 32,767
            /// seconds.
            pub fn set_keepalive_interval(&self, interval: Duration) -> io::Result<()> {
                let interval = TcpKeepalive::new().with_interval(whole_seconds(interval));
                SockRef::from(self).set_tcp_keepalive(&interval)
            }

            /// Returns the number of unanswered keepalive probes after which the connection is broken.
            ///
            /// # Errors
            ///
            /// Returns an error if getsockopt(2) fails.
            pub fn keepalive_count(&self) -> io::Result<u32> {
                SockRef::from(self).tcp_keepalive_retries()
            }

            /// Sets the number of unanswered keepalive probes after which the connection is broken (`TCP_KEEPCNT`), and
            /// turns probes on.
            ///
            /// # Errors
            ///
            /// Returns an error if setsockopt(2) fails, such as `EINVAL` for 0, or more than 127.
            pub fn set_keepalive_count(&self, count: u32) -> io::Result<()> {
                SockRef::from(self).set_tcp_keepalive(&TcpKeepalive::new().with_retries(probes(count)))
            }
        }
    )*};
}

keepalive_methods!(TcpSocket, TcpStream);

impl TcpSocket {
    /// Returns the time without traffic after which the first keepalive probe is sent, if probes are on.
    ///
    /// # Errors
    ///
    /// Returns an error if getsockopt(2) fails.
    pub fn keepalive_idle(&self) -> io::Result<Duration> {
        self.socket.tcp_keepalive_time()
    }

    /// Sets the time without traffic after which the first keepalive probe is sent (`TCP_KEEPIDLE`), in seconds rounded
    /// up, and turns probes on.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails, such as `EINVAL` for a duration of zero, or of more than 32,767
    /// seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::net::TcpSocket;
    /// use std::time::Duration;
    ///
    /// // A peer that has vanished is noticed within a minute and a half.
    /// let socket = TcpSocket::new_v4()?;
    /// socket.set_keepalive_idle(Duration::from_secs(60))?;
    /// socket.set_keepalive_interval(Duration::from_secs(10))?;
    /// socket.set_keepalive_count(3)?;
    /// assert!(socket.keepalive()?);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn set_keepalive_idle(&self, idle: Duration) -> io::Result<()> {
        self.socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(whole_seconds(idle)))
    }
}
