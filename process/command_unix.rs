//! The methods of [`Command`] that only Unix has.
#![expect(unsafe_code, reason = "Command::pre_exec, whose caller makes promises")]

use super::Command;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;

impl Command {
    /// Sets the user id of the child. This calls setuid(2) in the child before the program starts, and spawning fails if
    /// that fails.
    pub fn uid(&mut self, id: u32) -> &mut Command {
        self.std.uid(id);
        self
    }

    /// Sets the group id of the child; see [`uid`](Command::uid).
    pub fn gid(&mut self, id: u32) -> &mut Command {
        self.std.gid(id);
        self
    }

    /// Sets the argument with the number zero, which is the name of the program by default.
    pub fn arg0<S>(&mut self, arg: S) -> &mut Command
    where
        S: AsRef<OsStr>,
    {
        self.std.arg0(arg);
        self
    }

    /// Sets a function that the child calls after fork(2) and before the program starts. May be called several times; the
    /// functions are called in this order. If one returns an error, spawning fails with it.
    ///
    /// # Safety
    ///
    /// The function runs in a copy of this process, of whose threads only the present one exists. Locks that other threads
    /// held stay locked for ever, also that of the memory allocator. So it may only do what POSIX allows there: see
    /// signal-safety(7), and [`CommandExt::pre_exec`].
    // SAFETY: the method requires what std's method requires.
    pub unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Command
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: the caller promises what this method requires, which is the same.
        unsafe { self.std.pre_exec(f) };
        self
    }

    /// Sets the process group of the child. With 0, it leads a group of its own, whose number is its process id.
    ///
    /// Ctrl-C on a terminal reaches the foreground group only, and so no longer this child. With
    /// [`Child::send_process_group_signal`](super::Child::send_process_group_signal) a signal is sent to the group.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::process::Command;
    ///
    /// # runtime::block_on(async {
    /// let status = Command::new("true").process_group(0).status().await?;
    /// assert!(status.success());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn process_group(&mut self, pgroup: i32) -> &mut Command {
        self.std.process_group(pgroup);
        self
    }
}
