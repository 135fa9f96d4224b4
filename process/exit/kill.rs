//! kill(2), for a process that has not been reaped, so that its number is no other process's.
#![expect(unsafe_code, reason = "kill(2)")]

use std::ffi::c_int;
use std::io;
use std::process::Child;

/// Sends a signal to a child that has not been reaped.
pub(super) fn kill(child: &Child, signal: c_int) -> io::Result<()> {
    send(number_of(child)?, signal)
}

/// Sends a signal to all processes of the group that a child leads. The child has not been reaped: otherwise the number
/// may be that of another group.
pub(super) fn kill_group(child: &Child, signal: c_int) -> io::Result<()> {
    send(-number_of(child)?, signal)
}

/// Returns the process id of a child as the C library has it. Zero and one, with which kill(2) would address other
/// processes, are no child's.
fn number_of(child: &Child) -> io::Result<libc::pid_t> {
    match libc::pid_t::try_from(child.id()) {
        Ok(number @ 2..) => Ok(number),
        _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
    }
}

fn send(number: libc::pid_t, signal: c_int) -> io::Result<()> {
    // SAFETY: the function takes two numbers.
    match unsafe { libc::kill(number, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
