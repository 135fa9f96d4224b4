//! The signal handler, and its installation.
//!
//! The handler is installed once for each kind, and stays. It runs on a thread that the kernel chooses, and may
//! interrupt that thread at any point. So everything that it calls is async-signal-safe, see signal-safety(7): it loads and
//! stores atomic variables, writes to descriptors, and takes no lock. signal-hook-registry saves errno around it.
#![expect(unsafe_code, reason = "registers a signal handler, and asks for it")]

use super::listeners::{self, Kinds};
use super::stop_state;
use super::unix::SignalKind;
use crate::runtime::selector::Process;
use std::ffi::c_int;
use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::thread;

/// The largest number of a signal. Linux has 64, and the other systems have no portable ones above.
pub(super) const MAX_SIGNAL: usize = 64;

/// The number of signals of each kind that have arrived. It wraps after more than any process can receive.
static ARRIVALS: [AtomicU64; MAX_SIGNAL + 1] = [const { AtomicU64::new(0) }; MAX_SIGNAL + 1];

/// The kinds whose handler is installed.
static INSTALLED: AtomicU64 = AtomicU64::new(0);

/// The [number](Process::number) of the process in which a thread is installing a handler, or zero.
static INSTALLING: AtomicU32 = AtomicU32::new(0);

/// Returns the set of one kind, if a program can listen for it.
pub(super) fn checked(kind: SignalKind) -> io::Result<Kinds> {
    let signal = kind.as_raw_value();
    if signal <= 0 || signal_hook_registry::FORBIDDEN.contains(&signal) {
        return Err(io::Error::other(format!("Refusing to register signal {signal}")));
    }
    if signal as usize > MAX_SIGNAL {
        return Err(io::Error::other("signal too large"));
    }
    Ok(set_of(signal))
}

fn set_of(signal: c_int) -> Kinds {
    1 << (signal - 1)
}

/// Returns the number of signals that have arrived, for a kind that was [checked].
pub(super) fn arrivals(kind: SignalKind) -> u64 {
    ARRIVALS[kind.as_raw_value() as usize].load(SeqCst)
}

/// Makes sure that the handler of a kind is installed. The kind must have been [checked].
pub(super) fn install(kind: SignalKind) -> io::Result<()> {
    let is_installed = || INSTALLED.load(SeqCst) & set_of(kind.as_raw_value()) != 0;
    if is_installed() {
        return Ok(());
    }
    let _installing = Installing::begin()?;
    if is_installed() {
        return Ok(());
    }
    let signal = kind.as_raw_value();
    // SAFETY: the action is async-signal-safe, as the head of this file explains.
    unsafe { signal_hook_registry::register(signal, move || arrive(signal)) }?;
    INSTALLED.fetch_or(set_of(signal), SeqCst);
    Ok(())
}

/// Returns true if other code has replaced the handler of a kind by `SIG_IGN` or `SIG_DFL`, so that it does not run. Another
/// handler may call it.
#[cfg(feature = "process")]
pub(super) fn is_disabled(kind: SignalKind) -> bool {
    // SAFETY: the structure consists of numbers and function pointers that may be null, so all zeros are a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action the kernel changes nothing, and it writes the present one to `action`.
    let result = unsafe { libc::sigaction(kind.as_raw_value(), std::ptr::null(), &raw mut action) };
    result == 0 && matches!(action.sa_sigaction, libc::SIG_IGN | libc::SIG_DFL)
}

/// The handler.
fn arrive(signal: c_int) {
    // Careful: in this order. A listener that is notified looks at the other two.
    stop_state::arrive(signal);
    ARRIVALS[signal as usize].fetch_add(1, SeqCst);
    listeners::notify(set_of(signal));
}

/// The only thread that installs a handler. Two handlers for one kind would count each signal twice.
struct Installing;

impl Installing {
    fn begin() -> io::Result<Installing> {
        let process = Process::counted()?.number();
        while let Err(holder) = INSTALLING.compare_exchange(0, process, SeqCst, SeqCst) {
            if holder != process {
                // The thread does not exist in this process, and the lock of signal-hook-registry may be locked forever.
                return Err(io::Error::other(
                    "this process was forked while its parent installed a signal handler: listen for all kinds of \
                     signals before",
                ));
            }
            thread::yield_now();
        }
        Ok(Installing)
    }
}

impl Drop for Installing {
    fn drop(&mut self) {
        INSTALLING.store(0, SeqCst);
    }
}

#[cfg(test)]
#[cfg(not(miri))] // Miri has no signals.
mod tests {
    use super::*;

    #[test]
    fn a_child_of_a_process_that_was_installing_a_handler_gets_an_error() {
        let kind = SignalKind::from_raw(libc::SIGURG);
        let process = Process::counted().unwrap().number();
        INSTALLING.store(process + 1, SeqCst);
        let error = install(kind).unwrap_err();
        assert!(error.to_string().contains("was forked"), "{error}");
        INSTALLING.store(0, SeqCst);
        install(kind).unwrap();
        // From here on nothing has to be installed.
        INSTALLING.store(process + 1, SeqCst);
        install(kind).unwrap();
        INSTALLING.store(0, SeqCst);
    }
}
