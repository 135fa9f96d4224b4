//! Who is at the other end of a Unix socket.

/// The number of a user, see [`UCred::uid`].
#[expect(non_camel_case_types, reason = "the name it has in C")]
pub type uid_t = u32;

/// The number of a group, see [`UCred::gid`].
#[expect(non_camel_case_types, reason = "the name it has in C")]
pub type gid_t = u32;

/// The number of a process, see [`UCred::pid`].
#[expect(non_camel_case_types, reason = "the name it has in C")]
pub type pid_t = i32;

/// Who is at the other end of a Unix socket, on the word of the kernel. From
/// [`UnixStream::peer_cred`](crate::net::UnixStream::peer_cred).
///
/// It is who connected, listened, or made the pair *at that time*: the process may have changed its user
/// since then, or ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct UCred {
    pub(super) pid: Option<pid_t>,
    pub(super) uid: uid_t,
    pub(super) gid: gid_t,
}

impl UCred {
    /// The user, as which the process acts.
    pub fn uid(&self) -> uid_t {
        self.uid
    }

    /// The group, as which the process acts.
    pub fn gid(&self) -> gid_t {
        self.gid
    }

    /// The process, where the system tells: Linux, macOS, FreeBSD, NetBSD and OpenBSD do.
    pub fn pid(&self) -> Option<pid_t> {
        self.pid
    }
}
