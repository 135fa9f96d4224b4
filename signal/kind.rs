//! The number of a signal.

use std::ffi::c_int;

/// A kind of signal.
///
/// # Examples
///
/// ```
/// use runtime::signal::unix::SignalKind;
///
/// assert_eq!(SignalKind::interrupt().as_raw_value(), libc::SIGINT);
/// assert_eq!(SignalKind::from_raw(libc::SIGCONT), libc::SIGCONT.into());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalKind(c_int);

impl SignalKind {
    /// Creates the kind of signal with a number, which may be that of a real-time signal. [`signal`](super::unix::signal)
    /// checks if a program can listen for it.
    pub const fn from_raw(signum: c_int) -> SignalKind {
        SignalKind(signum)
    }

    /// Returns the number of the signal.
    pub const fn as_raw_value(&self) -> c_int {
        self.0
    }

    /// Returns `SIGALRM`, which is sent when a timer of alarm(2) or setitimer(2) has expired. By default, it ends the
    /// process.
    pub const fn alarm() -> SignalKind {
        SignalKind(libc::SIGALRM)
    }

    /// Returns `SIGCHLD`, which is sent when a child has ended, or was stopped or continued. By default, it is ignored.
    pub const fn child() -> SignalKind {
        SignalKind(libc::SIGCHLD)
    }

    /// Returns `SIGHUP`, which is sent when the terminal is disconnected, and by convention to make a server read its
    /// configuration again. By default, it ends the process.
    pub const fn hangup() -> SignalKind {
        SignalKind(libc::SIGHUP)
    }

    /// Returns `SIGINFO`, which Ctrl-T sends to ask for a status report. By default, it is ignored.
    #[cfg(any(
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "macos",
        target_os = "netbsd",
        target_os = "openbsd"
    ))]
    pub const fn info() -> SignalKind {
        SignalKind(libc::SIGINFO)
    }

    /// Returns `SIGINT`, which Ctrl-C sends. By default, it ends the process.
    pub const fn interrupt() -> SignalKind {
        SignalKind(libc::SIGINT)
    }

    /// Returns `SIGIO`, which is sent when a descriptor with `O_ASYNC` is ready. By default, it ends the process on
    /// Linux, and is ignored on other systems.
    pub const fn io() -> SignalKind {
        SignalKind(libc::SIGIO)
    }

    /// Returns `SIGPIPE`, which is sent when the process writes to a pipe that nobody can read any more. By default, it
    /// ends the process, but Rust's standard library ignores it before `main`.
    pub const fn pipe() -> SignalKind {
        SignalKind(libc::SIGPIPE)
    }

    /// Returns `SIGQUIT`, which Ctrl-\ sends. By default, it ends the process and writes a core dump.
    pub const fn quit() -> SignalKind {
        SignalKind(libc::SIGQUIT)
    }

    /// Returns `SIGTERM`, by which other programs ask the process to end. By default, it ends the process.
    pub const fn terminate() -> SignalKind {
        SignalKind(libc::SIGTERM)
    }

    /// Returns `SIGUSR1`, whose meaning is up to the program. By default, it ends the process.
    pub const fn user_defined1() -> SignalKind {
        SignalKind(libc::SIGUSR1)
    }

    /// Returns `SIGUSR2`, whose meaning is up to the program. By default, it ends the process.
    pub const fn user_defined2() -> SignalKind {
        SignalKind(libc::SIGUSR2)
    }

    /// Returns `SIGWINCH`, which is sent when the size of the terminal changes. By default, it is ignored.
    pub const fn window_change() -> SignalKind {
        SignalKind(libc::SIGWINCH)
    }
}

impl From<c_int> for SignalKind {
    fn from(signum: c_int) -> SignalKind {
        SignalKind::from_raw(signum)
    }
}

impl From<SignalKind> for c_int {
    fn from(kind: SignalKind) -> c_int {
        kind.as_raw_value()
    }
}
