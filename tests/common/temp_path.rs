//! A path for a socket that no other test has. The file is removed with it.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub(crate) struct TempPath(PathBuf);

impl TempPath {
    pub(crate) fn new() -> TempPath {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        let number = LAST.fetch_add(1, Relaxed);
        TempPath(std::env::temp_dir().join(format!("runtime-test-{}-{number}", std::process::id())))
    }
}

impl Deref for TempPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        // There is no file if the test has made none.
        let _ = std::fs::remove_file(&self.0);
    }
}
