//! The options of a UDP socket, see udp(7), ip(7) and ipv6(7). To set an option that is not here, pass the socket to
//! `socket2::SockRef::from`.

use super::socket::UdpSocket;
use crate::net::option_values::field;
use socket2::SockRef;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Defines a pair of methods that get and set an option, from a description of the option and further paragraphs.
macro_rules! options {
    ($($get:ident, $set:ident($value:ident: $type:ty): $what:literal $(, $more:literal)*;
        $io:ident => $getter:expr, $setter:expr;)*) => {
        impl UdpSocket {$(
            #[doc = concat!("Returns ", $what, ". See [`", stringify!($set), "`](UdpSocket::", stringify!($set), ").")]
            ///
            /// # Errors
            ///
            /// Returns an error if getsockopt(2) fails.
            pub fn $get(&self) -> io::Result<$type> {
                let $io = self.std();
                $getter
            }

            #[doc = concat!("Sets ", $what, ".")]
            $(#[doc = ""] #[doc = $more])*
            ///
            /// # Errors
            ///
            /// Returns an error if setsockopt(2) fails.
            pub fn $set(&self, $value: $type) -> io::Result<()> {
                let $io = self.std();
                $setter
            }
        )*}
    };
}

options! {
    broadcast, set_broadcast(on: bool):
        "whether the socket may send to broadcast addresses (`SO_BROADCAST`)",
        "Without it, sending there fails with [`PermissionDenied`](io::ErrorKind::PermissionDenied).";
        socket => socket.broadcast(), socket.set_broadcast(on);
    multicast_loop_v4, set_multicast_loop_v4(on: bool):
        "whether datagrams to a group are also delivered to its members on this host (`IP_MULTICAST_LOOP`)",
        "The default is `true`. This applies to IPv4 only.";
        socket => socket.multicast_loop_v4(), socket.set_multicast_loop_v4(on);
    multicast_ttl_v4, set_multicast_ttl_v4(ttl: u32):
        "the number of routers that a datagram to a group may pass (`IP_MULTICAST_TTL`)",
        "The default is 1, which means the local network, and the maximum is 255. This applies to IPv4 only.";
        socket => socket.multicast_ttl_v4(), socket.set_multicast_ttl_v4(field(ttl)?);
    multicast_loop_v6, set_multicast_loop_v6(on: bool):
        "whether datagrams to a group are also delivered to its members on this host (`IPV6_MULTICAST_LOOP`)",
        "The default is `true`. This applies to IPv6 only.";
        socket => socket.multicast_loop_v6(), socket.set_multicast_loop_v6(on);
    multicast_hops_v6, set_multicast_hops_v6(hops: u32):
        "the number of routers that a datagram to a group may pass (`IPV6_MULTICAST_HOPS`)",
        "The default is 1, which means the local network, and the maximum is 255. This applies to IPv6 only.";
        socket => SockRef::from(socket).multicast_hops_v6(),
            SockRef::from(socket).set_multicast_hops_v6(field(hops)?);
    ttl, set_ttl(ttl: u32):
        "the TTL: the number of routers that a datagram may pass (`IP_TTL`)",
        "It is between 1 and 255. This applies to IPv4 only.";
        socket => socket.ttl(), socket.set_ttl(field(ttl)?);
    tos_v4, set_tos_v4(tos: u32):
        "the type of service of sent datagrams (`IP_TOS`)",
        "The upper six bits are the differentiated services field of RFC 2474, the lower two are \
         congestion notification. This applies to IPv4 only.";
        socket => SockRef::from(socket).tos_v4(), SockRef::from(socket).set_tos_v4(field(tos)?);
}

impl UdpSocket {
    /// Joins a group (`IP_ADD_MEMBERSHIP`): datagrams to it are received from now on.
    ///
    /// `interface` is an address of the interface on which to join; with the unspecified address, the system chooses
    /// one.
    ///
    /// # Errors
    ///
    /// Returns an error if setsockopt(2) fails, such as `EINVAL` if the address is not that of a group, and `ENODEV` if
    /// there is no such interface.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.std().join_multicast_v4(&group, &interface)
    }

    /// Leaves a group (`IP_DROP_MEMBERSHIP`). Dropping the socket leaves all groups.
    ///
    /// # Errors
    ///
    /// Returns the errors of setsockopt(2), such as [`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable) if the socket
    /// is not a member.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.std().leave_multicast_v4(&group, &interface)
    }

    /// Joins a group (`IPV6_ADD_MEMBERSHIP`): datagrams to it are received from now on.
    ///
    /// `interface` is the number of the interface on which to join; with 0, the system chooses one.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.std().join_multicast_v6(group, interface)
    }

    /// Leaves a group (`IPV6_DROP_MEMBERSHIP`). Dropping the socket leaves all groups.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`leave_multicast_v4`](UdpSocket::leave_multicast_v4).
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.std().leave_multicast_v6(group, interface)
    }
}

// Binding to a network interface by its name.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod device {
    use crate::net::UdpSocket;
    use socket2::SockRef;
    use std::io;

    impl UdpSocket {
        /// Returns the name of the network interface that the socket is bound to, if any. See
        /// [`bind_device`](UdpSocket::bind_device).
        ///
        /// # Errors
        ///
        /// Returns an error if getsockopt(2) fails.
        pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
            SockRef::from(self).device()
        }

        /// Binds the socket to a network interface, such as `b"eth0"`, so that it sends and receives packets only there
        /// (`SO_BINDTODEVICE`). `None` removes the binding.
        ///
        /// # Errors
        ///
        /// Returns an error if setsockopt(2) fails, such as `ENODEV` if there is no such interface. To change the
        /// binding, `CAP_NET_RAW` is required, and before Linux 5.7 also to set it the first time.
        pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
            SockRef::from(self).bind_device(interface)
        }
    }
}

// The traffic class of IPv6, on systems for which socket2 has it.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "macos",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
mod traffic_class {
    use crate::net::UdpSocket;
    use crate::net::option_values::field;
    use socket2::SockRef;
    use std::io;

    impl UdpSocket {
        /// Returns the traffic class of sent datagrams. See [`set_tclass_v6`](UdpSocket::set_tclass_v6).
        ///
        /// # Errors
        ///
        /// Returns an error if getsockopt(2) fails.
        pub fn tclass_v6(&self) -> io::Result<u32> {
            SockRef::from(self).tclass_v6()
        }

        /// Sets the traffic class of sent datagrams (`IPV6_TCLASS`), which corresponds to
        /// [`set_tos_v4`](UdpSocket::set_tos_v4) for IPv4.
        ///
        /// # Errors
        ///
        /// Returns an error if setsockopt(2) fails, such as `EINVAL` for more than 255.
        pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
            SockRef::from(self).set_tclass_v6(field(class)?)
        }
    }
}
