//! The replacement for `affinity.rs` on systems that cannot pin threads, such as macOS: there is no CPU to choose, and
//! each thread runs on any of them.

use std::io;

/// Returns no CPU, since none can be chosen.
pub(super) fn allowed() -> io::Result<Vec<usize>> {
    Ok(Vec::new())
}

/// Returns an error. It is never called, since no CPU is allowed.
pub(super) fn allow(_: &[usize]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
