//! Where threads cannot be pinned, as on macOS: there is no CPU to choose, and each thread runs anywhere.

use std::io;

/// None that could be chosen.
pub(super) fn allowed() -> io::Result<Vec<usize>> {
    Ok(Vec::new())
}

/// Nobody can ask for this, as none is allowed.
pub(super) fn allow(_: &[usize]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
