//! Interrupts each thread of a test process a thousand times a second, by a signal whose handler lets system calls fail
//! with `EINTR`. The variable `RUNTIME_TEST_SIGALRM` enables this, for all tests of the process and for its children.
#![expect(unsafe_code, reason = "sigaction and tgkill, and a function that runs before main")]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use std::{mem, ptr, thread};

pub(crate) const VARIABLE: &str = "RUNTIME_TEST_SIGALRM";

static INTERRUPTIONS: AtomicUsize = AtomicUsize::new(0);

/// Returns how many times a thread of this process has been interrupted.
pub(crate) fn interruptions() -> usize {
    INTERRUPTIONS.load(Relaxed)
}

// Before main, since every test has to run under this load and none should have to know it.
// SAFETY: the loader calls each pointer in this section once, with arguments that the function may ignore.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    // SAFETY: all zeros are a valid value. There is no SA_RESTART among the flags.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the kernel reads the action, whose handler is async-signal-safe.
    assert_eq!(unsafe { libc::sigaction(libc::SIGALRM, &action, ptr::null_mut()) }, 0);
    thread::spawn(interrupt_others);
}

extern "C" fn count(_signal: libc::c_int) {
    INTERRUPTIONS.fetch_add(1, Relaxed);
}

/// Signals each thread by itself. The kernel would give the signals of a timer to the main thread alone.
fn interrupt_others() {
    // SAFETY: there are no arguments.
    let (process, own) = unsafe { (libc::getpid(), libc::gettid()) };
    loop {
        thread::sleep(Duration::from_millis(1));
        let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { continue };
        let threads = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse::<libc::pid_t>().ok());
        for other in threads.filter(|thread| *thread != own) {
            // SAFETY: takes numbers. If the thread has ended, the call fails.
            unsafe { libc::syscall(libc::SYS_tgkill, process, other, libc::SIGALRM) };
        }
    }
}
