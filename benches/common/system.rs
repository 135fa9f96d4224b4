//! Calls of the harness to the system: CPU clocks, a core to run on, and a limit of descriptors.
//!
//! Results are CPU time and not wall time wherever that makes sense: if another program takes the core for a while,
//! that lengthens only the wall time. This module does not know what is measured.

#![expect(unsafe_code, reason = "system calls; each block is one call on memory owned here")]

use std::io;
use std::time::Duration;

/// The core on which everything runs: what is measured, and the client that gives it work.
///
/// One core serves both: to wake a thread on another core costs an interrupt, and on virtual machines that is more
/// than the request itself.
pub(crate) const CORE: usize = 0;

/// The core of a thread that must run at the same time as what is measured.
pub(crate) const OTHER_CORE: usize = 1;

/// Returns the CPU time that the calling thread has used so far.
pub(crate) fn thread_cpu() -> Duration {
    read_clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Returns the CPU time that all threads of process `pid` have used so far, in user space and in the kernel.
pub(crate) fn process_cpu(pid: u32) -> io::Result<Duration> {
    let mut clock = 0;
    // SAFETY: `clock` is a valid place for the one id that the call writes.
    let error = unsafe { libc::clock_getcpuclockid(pid as libc::pid_t, &mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    Ok(read_clock(clock))
}

fn read_clock(clock: libc::clockid_t) -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the one timespec that the call writes.
    let result = unsafe { libc::clock_gettime(clock, &mut now) };
    assert_eq!(result, 0, "cannot read CPU clock {clock}: {}", io::Error::last_os_error());
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Runs `work` and returns the CPU time that the calling thread spent on it.
pub(crate) fn cpu_of(work: impl FnOnce()) -> Duration {
    let start = thread_cpu();
    work();
    thread_cpu() - start
}

/// Ties the calling thread, and threads that it starts from now on, to one core.
///
/// A refusal is ignored, on a machine with fewer cores or in a sandbox: the results only become noisier.
pub(crate) fn pin_to(core: usize) {
    // SAFETY: an all-zero cpu_set_t is the empty set, and CPU_SET stays within it for small cores.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        set
    };
    // SAFETY: the set is valid for the length given; 0 names the calling thread.
    let _ = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
}

/// Gives the calling thread, and threads that it starts from now on, priority over others on their core.
///
/// This needs a privilege. As with [`pin_to`], a refusal is ignored: the results only become noisier.
pub(crate) fn raise_priority() {
    const HIGHEST: libc::c_int = -20;
    set_priority(HIGHEST);
}

/// Restores the priority of the calling thread after [`raise_priority`].
pub(crate) fn restore_priority() {
    set_priority(0);
}

fn set_priority(niceness: libc::c_int) {
    // SAFETY: the call takes no memory; 0 names the calling thread.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) };
}

/// Makes the calling process end when its parent ends, for whatever reason.
pub(crate) fn end_with_parent() {
    // SAFETY: the call takes no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    assert_eq!(result, 0, "cannot tie a child to its parent: {}", io::Error::last_os_error());
}

/// Asks process `pid`, a child that has not been waited for, to end.
pub(crate) fn terminate(pid: u32) -> io::Result<()> {
    // SAFETY: the call takes no memory.
    match unsafe { libc::kill(pid as libc::pid_t, libc::SIGTERM) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Raises the limit on open descriptors as far as allowed and returns it.
pub(crate) fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the one rlimit that the call writes.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid rlimit, only read by the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}
