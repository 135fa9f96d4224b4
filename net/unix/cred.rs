//! The credentials of the peer of a Unix socket.

/// The number of a user, see [`UCred::uid`].
#[expect(non_camel_case_types, reason = "the name of the type in C")]
pub type uid_t = u32;

/// The number of a group, see [`UCred::gid`].
#[expect(non_camel_case_types, reason = "the name of the type in C")]
pub type gid_t = u32;

/// The number of a process, see [`UCred::pid`].
#[expect(non_camel_case_types, reason = "the name of the type in C")]
pub type pid_t = i32;

/// The credentials of the peer of a Unix socket, as reported by the kernel. Returned by
/// [`UnixStream::peer_cred`](crate::net::UnixStream::peer_cred).
///
/// They are those of the process that connected, listened, or created the pair *at that time*: the process may have
/// changed its user since then, or ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UCred {
    pub(super) pid: Option<pid_t>,
    pub(super) uid: uid_t,
    pub(super) gid: gid_t,
}

impl UCred {
    /// Returns the effective user of the process.
    pub fn uid(&self) -> uid_t {
        self.uid
    }

    /// Returns the effective group of the process.
    pub fn gid(&self) -> gid_t {
        self.gid
    }

    /// Returns the number of the process, if the system reports it: Linux, macOS, FreeBSD, NetBSD and OpenBSD do.
    pub fn pid(&self) -> Option<pid_t> {
        self.pid
    }
}
