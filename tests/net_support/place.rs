//! A path for a Unix socket, whose file is removed at the end of the test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A path for a socket in the folder for temporary files, whose name is short. The file is removed at the end.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new() -> Place {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        Place(std::env::temp_dir().join(format!("runtime-unix-{}-{number}", std::process::id())))
    }
}

impl AsRef<Path> for Place {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The file may not have been made, or may be gone already.
        let _ = std::fs::remove_file(&self.0);
    }
}
