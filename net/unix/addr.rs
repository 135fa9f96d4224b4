//! Addresses of Unix sockets: std's type, with access to the abstract names of Linux, and conversions from and to
//! socket2's.

use socket2::SockAddr;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net;
use std::path::Path;

/// The address of a Unix socket: a path, an abstract name, or no name at all.
///
/// `from` and `into` convert it from and to the type of std.
///
/// # Examples
///
/// ```
/// use runtime::net::unix::SocketAddr;
/// use std::path::Path;
///
/// let address = SocketAddr::from(std::os::unix::net::SocketAddr::from_pathname("/tmp/socket")?);
/// assert_eq!(address.as_pathname(), Some(Path::new("/tmp/socket")));
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct SocketAddr(net::SocketAddr);

impl SocketAddr {
    /// Returns `true` if the socket has no name, such as one that has only connected.
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// Returns the path, if the address is one.
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// Creates the address of a path. On Linux, a path that begins with a zero byte is an abstract name.
    pub(super) fn of_path(path: &Path) -> io::Result<SocketAddr> {
        named(path).map(SocketAddr)
    }

    /// Converts an address that the kernel has returned. For a socket without a name, some systems do not even report
    /// the address family.
    pub(super) fn from_kernel(reported: &SockAddr) -> io::Result<SocketAddr> {
        let path = match reported.as_abstract_namespace() {
            Some(name) => &[b"\0", name].concat(),
            None => reported.as_pathname().map_or(&b""[..], |path| path.as_os_str().as_bytes()),
        };
        // From an empty path, std creates an address without a name.
        SocketAddr::of_path(Path::new(OsStr::from_bytes(path)))
    }

    pub(super) fn as_std(&self) -> &net::SocketAddr {
        &self.0
    }

    /// Converts the address for a system call.
    pub(super) fn to_call(&self) -> io::Result<SockAddr> {
        match (self.as_pathname(), abstract_name(&self.0)) {
            (Some(path), _) => SockAddr::unix(path),
            (None, Some(name)) => SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat())),
            (None, None) => SockAddr::unix(""),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl SocketAddr {
    /// Returns the abstract name without the zero byte before it, if the address is one.
    ///
    /// # Examples
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let name = format!("the example of as_abstract_name, {}", std::process::id());
    /// let listener = runtime::net::UnixListener::bind(format!("\0{name}"))?;
    /// assert_eq!(listener.local_addr()?.as_abstract_name(), Some(name.as_bytes()));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        abstract_name(&self.0)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
use self::abstract_names::{abstract_name, named};

#[cfg(any(target_os = "linux", target_os = "android"))]
mod abstract_names {
    use super::*;
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;

    pub(super) fn abstract_name(address: &net::SocketAddr) -> Option<&[u8]> {
        address.as_abstract_name()
    }

    pub(super) fn named(path: &Path) -> io::Result<net::SocketAddr> {
        match path.as_os_str().as_bytes() {
            [0, name @ ..] => net::SocketAddr::from_abstract_name(name),
            _ => net::SocketAddr::from_pathname(path),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_name(_: &net::SocketAddr) -> Option<&[u8]> {
    None
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn named(path: &Path) -> io::Result<net::SocketAddr> {
    net::SocketAddr::from_pathname(path)
}

/// Formats the address as std does.
impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<net::SocketAddr> for SocketAddr {
    fn from(address: net::SocketAddr) -> SocketAddr {
        SocketAddr(address)
    }
}

impl From<SocketAddr> for net::SocketAddr {
    fn from(address: SocketAddr) -> net::SocketAddr {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Converts an address for the kernel and back, which checks the length that the kernel gets.
    fn round_trip(path: &[u8]) -> SocketAddr {
        let address = SocketAddr::of_path(Path::new(OsStr::from_bytes(path))).unwrap();
        let back = SocketAddr::from_kernel(&address.to_call().unwrap()).unwrap();
        assert_eq!(back.as_pathname(), address.as_pathname());
        assert_eq!(abstract_name(&back.0), abstract_name(&address.0));
        assert_eq!(back.is_unnamed(), address.is_unnamed());
        back
    }

    #[test]
    fn addresses_are_the_same_after_a_round_trip() {
        assert!(round_trip(b"").is_unnamed());
        for path in [&b"/"[..], b"/tmp/\xff\xfe", &[b'x'; 103]] {
            assert_eq!(round_trip(path).as_pathname(), Some(Path::new(OsStr::from_bytes(path))));
        }
    }

    #[test]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn abstract_names_may_hold_anything() {
        assert_eq!(round_trip(&[b'x'; 107]).as_pathname().unwrap().as_os_str().len(), 107);
        for name in [&b"a"[..], b"zero\0inside", b"\0", &[0xff; 107]] {
            let path = [b"\0", name].concat();
            assert_eq!(round_trip(&path).as_abstract_name(), Some(name));
        }
    }

    #[test]
    fn a_path_that_is_too_long_is_refused() {
        for path in [&[b'x'; 108][..], &[0; 109], b"zero\0inside"] {
            let error = SocketAddr::of_path(Path::new(OsStr::from_bytes(path))).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn an_address_of_no_family_is_unnamed() {
        // In this test, the family is another one.
        let reported = SockAddr::from(std::net::SocketAddr::from(([0, 0, 0, 0], 0)));
        assert!(SocketAddr::from_kernel(&reported).unwrap().is_unnamed());
    }
}
