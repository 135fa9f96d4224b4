//! The set of CPUs on which a thread may run: sched_getaffinity(2) and sched_setaffinity(2). Linux and Android only.
//!
//! A set is an array of machine words with one bit for each CPU. It has to be as long as the kernel's own set:
//! `cpu_set_t` has room for 1024 CPUs, and on a machine that may have more, the kernel refuses a set of that size.
#![expect(unsafe_code, reason = "system calls; each one on memory owned here")]

use std::ffi::c_ulong;
use std::io;

const BITS: usize = c_ulong::BITS as usize;

/// The number of words of the first attempt: 1024 CPUs. It is doubled until the kernel's set fits.
const WORDS: usize = 1024 / BITS;

/// The number of words at which the doubling ends: a million CPUs.
const MOST_WORDS: usize = WORDS << 10;

/// Returns the CPUs on which the calling thread may run, in ascending order. In a container these may be few of the
/// machine's.
pub(super) fn allowed() -> io::Result<Vec<usize>> {
    let mut set = vec![0; WORDS];
    loop {
        // SAFETY: the kernel writes no more than the size that is given, which is that of `set`; it
        // takes a set as words, which need no alignment beyond their own.
        let result = unsafe { libc::sched_getaffinity(0, size_of_val(&*set), set.as_mut_ptr().cast()) };
        if result == 0 {
            return Ok(cpus_of(&set));
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINVAL) || set.len() >= MOST_WORDS {
            return Err(error);
        }
        set.resize(set.len() * 2, 0);
    }
}

/// Restricts the calling thread to these CPUs. Threads that it starts inherit the restriction.
pub(super) fn allow(cpus: &[usize]) -> io::Result<()> {
    let set = set_of(cpus)?;
    // SAFETY: the kernel reads no more than the size that is given, which is that of `set`.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&*set), set.as_ptr().cast()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn cpus_of(set: &[c_ulong]) -> Vec<usize> {
    (0..set.len() * BITS).filter(|cpu| set[cpu / BITS] & 1 << (cpu % BITS) != 0).collect()
}

fn set_of(cpus: &[usize]) -> io::Result<Vec<c_ulong>> {
    let mut set = vec![0; WORDS];
    for cpu in cpus {
        let word = cpu / BITS;
        if word >= MOST_WORDS {
            // The error that the kernel returns for a CPU that does not exist.
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        if word >= set.len() {
            set.resize(word + 1, 0);
        }
        set[word] |= 1 << (cpu % BITS);
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        for cpus in [&[][..], &[0], &[1, 63, 64, 65], &[5, 1023], &[1024, 9999]] {
            assert_eq!(cpus_of(&set_of(cpus).unwrap()), cpus);
        }
        assert_eq!(set_of(&[usize::MAX]).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    #[cfg_attr(miri, ignore = "it does not pin threads")]
    fn a_thread_runs_where_it_may() {
        let before = allowed().unwrap();
        assert!(!before.is_empty());
        std::thread::spawn(move || {
            for cpu in before {
                allow(&[cpu]).unwrap();
                assert_eq!(allowed().unwrap(), [cpu]);
                // SAFETY: the function takes no argument.
                assert_eq!(usize::try_from(unsafe { libc::sched_getcpu() }), Ok(cpu));
            }
            assert_eq!(allow(&[9_999]).unwrap_err().raw_os_error(), Some(libc::EINVAL));
            assert_eq!(allow(&[]).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        })
        .join()
        .unwrap();
    }
}
